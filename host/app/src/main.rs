//! The program `ringfence`: parse, load the configuration, pick a face, exit code.
#![forbid(unsafe_code)]

mod cli;
mod config;
mod grants;
mod http;
mod mcp;
mod openai;
mod render;
mod sdk;
mod telemetry;
mod toolchain;
mod trouble;
mod ui;

use std::process::ExitCode;

fn main() -> ExitCode {
    let env = config::Environment::of_process();
    cli::answer_completions(&env);
    let cli = match cli::parse(std::env::args_os(), &env) {
        Ok(cli) => cli,
        Err(code) => return code,
    };
    // What follows reads what strangers wrote.
    ringfence_core::engine::give_up_privileges(cli.listening());
    let format = cli.early_format(&env);
    match cli::execute(cli, &env) {
        Ok(code) => code,
        Err((error, known)) => render::fail(&error, known.unwrap_or(format)),
    }
}
