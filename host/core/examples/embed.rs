use ringfence_core::{Call, Error, Finished, Host, HostConfig, engine::WorkerCommand};

pub async fn embed(folder: &str, skill: &str, program: &str) -> Result<Finished, Error> {
    let host = Host::open(HostConfig::in_folder(folder, WorkerCommand::ringfence(program))).await?;
    let installed = host.add(skill.as_ref(), None).await?;
    let skill = host.load_installed(&installed.name, None).await?;
    let finished = host.invoke(Call::of(skill, "echo", r#"{"text": "Hello"}"#)).await?;
    host.close().await?;
    Ok(finished)
}
