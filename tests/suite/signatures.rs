//! Signed skills, from the key to the refusal, as people and scripts do it.

use serde_json::{Value, json};

use crate::support::terminal::{DOWN, ENTER};
use crate::support::{Done, Home, Terminal, wat};

const REQUIRE: &str = "[signatures]\nfile = \"require\"\n";

/// A skill that asks for nothing, as a file of this home.
fn skill(home: &Home, name: &str, version: &str) -> String {
    let manifest = json!({ "name": name, "version": version, "description": "Acts.", "permissions": {} });
    let bytes = wat::packaged(wat::skill("(i32.const 128)", "", ""), &manifest);
    home.write(&format!("work/{name}-{version}.wasm"), bytes).display().to_string()
}

/// Makes a key without a password, and gives its public half.
fn key(home: &Home, name: &str) -> String {
    let made = home.run(&["key", "new", name, "--no-password", "--format", "json"]).worked().json();
    made["key"]["key"].as_str().unwrap().to_owned()
}

fn signed(home: &Home, name: &str, version: &str, key: &str) -> String {
    let file = skill(home, name, version);
    home.run(&["sign", &file, "--key", key]).worked();
    file
}

fn listed(home: &Home) -> Value {
    home.run(&["list", "--format", "json"]).worked().json()
}

fn audited(home: &Home) -> String {
    home.run(&["audit", "list", "--format", "json"]).worked().out
}

#[test]
fn a_skill_is_signed_trusted_installed_and_updated() {
    let home = Home::with_config(REQUIRE);
    let public = key(&home, "ada");
    let file = signed(&home, "echo", "1.0.0", "ada");
    assert!(std::fs::read_to_string(format!("{file}.minisig")).unwrap().contains(&public));

    // Nobody knows them yet.
    home.run(&["verify", &file]).fails("untrusted-publisher", 3, &public, &format!("--trust {public}"));
    home.run(&["add", &file]).fails("untrusted-publisher", 3, &public, &format!("--trust {public}"));
    assert_eq!(listed(&home), json!([]));
    assert_eq!(home.files("data"), [""; 0], "nothing is half installed");

    home.run(&["trust", "add", "Ada Lovelace", &public]).worked();
    let verified = home.run(&["verify", &file]).worked();
    assert!(verified.out.starts_with("echo 1.0.0 is signed by Ada Lovelace: the minisign key "), "{verified:?}");
    home.run(&["add", &file]).worked();
    assert_eq!(listed(&home)[0]["signer"], json!({ "type": "minisign", "key": public }));
    let shown = home.run(&["show", "echo", "--format", "json"]).worked().json();
    assert_eq!(shown["signer"]["name"], "Ada Lovelace");
    assert!(home.run(&["show", "echo"]).worked().out.contains("signer   Ada Lovelace: the minisign key "));

    home.run(&["add", &signed(&home, "echo", "1.1.0", "ada")]).worked();
    let trust = home.run(&["trust", "list", "--format", "json"]).worked().json();
    assert_eq!(
        (trust["publishers"][0]["name"].as_str(), trust["pins"][0]["floor"].as_str()),
        (Some("Ada Lovelace"), Some("1.1.0"))
    );
    let audit = audited(&home);
    for kind in ["key-new", "sign", "add-refused", "publisher-trust", "pin", "add"] {
        assert!(audit.contains(&format!("\"{kind}\"")), "{kind}: {audit}");
    }

    // Taken back: what is installed stays and says so, and nothing of theirs is installed any more.
    let gone = home.run(&["trust", "remove", "Ada Lovelace"]).worked();
    assert!(gone.out.contains("still installed, and signed by them: echo"), "{gone:?}");
    home.run(&["add", &signed(&home, "echo", "1.2.0", "ada"), "--trust-publisher"]).fails(
        "signature-invalid",
        3,
        "revoked",
        "do not install it",
    );
    home.run(&["trust", "add", "Ada", &public]).fails("untrusted-publisher", 3, "revoked", "--restore");
    assert!(home.run(&["show", "echo"]).worked().out.contains("which you have revoked"));
    home.run(&["trust", "add", "Ada", &public, "--restore"]).worked();
    home.run(&["add", &signed(&home, "echo", "1.2.0", "ada")]).worked();
}

#[test]
fn what_is_asked_of_a_file_is_the_configuration_s_to_say() {
    // Warned of, where nobody says otherwise.
    let home = Home::new();
    let file = skill(&home, "echo", "1.0.0");
    let warned = home.run(&["add", &file]).worked();
    assert!(warned.err.contains("echo is not signed"), "{warned:?}");
    assert_eq!(home.run(&["add", &file, "--quiet"]).worked().err, "");
    assert_eq!(listed(&home)[0]["signer"], Value::Null);
    home.run(&["add", &file, "--trust-publisher"]).fails("unsigned", 3, "`echo` is not signed", "ringfence sign");
    key(&home, "default");
    let signed = signed(&home, "echo", "1.0.1", "default");
    let warned = home.run(&["add", &signed, "--grant-nothing"]).worked();
    assert!(warned.err.contains("whom nobody has trusted here; `--trust-publisher` does"), "{warned:?}");
    assert_eq!(listed(&home)[0]["signer"], Value::Null, "nobody said that they are trusted");
    std::fs::write(format!("{file}.minisig"), std::fs::read(format!("{signed}.minisig")).unwrap()).unwrap();
    home.run(&["add", &file, "--allow-downgrade"]).fails(
        "signature-invalid",
        3,
        "of another file",
        "do not install it",
    );

    // Not looked at.
    let home = Home::with_config("[signatures]\nfile = \"off\"\n");
    let file = skill(&home, "echo", "1.0.0");
    std::fs::write(format!("{file}.minisig"), "nonsense").unwrap();
    assert_eq!(home.run(&["add", &file]).worked().err, "");

    // Required; what is built here is nobody else's.
    let home = Home::with_config(REQUIRE);
    home.run(&["add", &skill(&home, "echo", "1.0.0")]).fails("unsigned", 3, "`echo` is not signed", "[signatures]");

    // A project may ask for more, and not for less.
    let home = Home::new();
    home.write("work/ringfence.toml", REQUIRE);
    home.run(&["add", &skill(&home, "echo", "1.0.0")]).fails("unsigned", 3, "`echo` is not signed", "[signatures]");
    for (text, sentence) in [
        ("[signatures]\nfile = \"off\"\n", "may only make this stricter; it is \"warn\""),
        ("[signatures]\nhttps = \"warn\"\n", "may only make this stricter; it is \"require\""),
        ("[signatures]\ntrust-root = \"mine.json\"\n", "a project may not set this"),
    ] {
        home.write("work/ringfence.toml", text);
        home.run(&["list"]).fails("config-invalid", 2, sentence, "config.toml");
    }
}

#[test]
fn a_skill_stays_with_whom_it_was_pinned_to() {
    let home = Home::with_config(REQUIRE);
    let (ada, bob) = (key(&home, "ada"), key(&home, "bob"));
    home.run(&["add", &signed(&home, "echo", "1.0.0", "ada"), "--trust", &ada]).worked();
    // By somebody else, new or trusted; unsigned; and with words of a script that mean another skill.
    let theirs = signed(&home, "echo", "2.0.0", "bob");
    let refused = |args: &[&str], sentence: &str| {
        home.run(&[&["add"], args].concat()).fails("signature-invalid", 3, sentence, "--replace-publisher");
    };
    refused(&[&theirs], &format!("pinned to the minisign key {}", number(&ada)));
    refused(&[&theirs, "--trust-publisher"], &bob);
    home.run(&["trust", "add", "Bob", &bob]).worked();
    refused(&[&theirs], &ada);
    let bare = skill(&home, "echo", "3.0.0");
    let bare = home.run(&["add", &bare, "--allow-downgrade"]);
    bare.fails("unsigned", 3, "what was installed before was, by the minisign key", "--replace-publisher");
    assert_eq!(listed(&home)[0]["manifest"]["version"], "1.0.0");
    // It outlives the skill.
    home.run(&["remove", "echo"]).worked();
    refused(&[&theirs], &ada);
    home.run(&["add", &theirs, "--replace-publisher"]).worked();
    assert_eq!(listed(&home)[0]["signer"]["key"], bob);
    assert!(audited(&home).contains("\"pin-replace\""));
    // Unless its data went as well.
    home.run(&["remove", "echo", "--purge"]).worked();
    home.run(&["add", &signed(&home, "echo", "1.0.0", "ada"), "--trust", &ada]).worked();
    assert_eq!(listed(&home)[0]["signer"]["key"], ada);
}

/// As it is shown: 16 digits.
fn number(public: &str) -> String {
    use ringfence_core::catalog::signature::Signer;
    Signer::parse(public).unwrap().number().unwrap()
}

#[test]
fn an_older_version_needs_a_word() {
    let home = Home::new();
    let (old, new) = (skill(&home, "echo", "1.0.0"), skill(&home, "echo", "1.1.0"));
    home.run(&["add", &new]).worked();
    home.run(&["add", &old]).fails("rollback-refused", 3, "`echo` 1.0.0 is older than 1.1.0", "--allow-downgrade");
    assert_eq!(listed(&home)[0]["manifest"]["version"], "1.1.0");
    home.run(&["add", &old, "--allow-downgrade", "--grant-nothing"]).worked();
    assert!(audited(&home).contains("\"downgrade\""));

    // Of a publisher the highest one is remembered, also where an older one was let in or all were removed.
    let home = Home::new();
    let ada = key(&home, "ada");
    let [first, second, third] = ["1.0.0", "1.1.0", "1.2.0"].map(|version| signed(&home, "echo", version, "ada"));
    home.run(&["add", &third, "--trust", &ada]).worked();
    home.run(&["add", &first, "--allow-downgrade"]).worked();
    home.run(&["add", &second]).fails("rollback-refused", 3, "older than 1.2.0", "--allow-downgrade");
    home.run(&["remove", "echo"]).worked();
    home.run(&["add", &second]).fails("rollback-refused", 3, "older than 1.2.0", "--allow-downgrade");
    home.run(&["add", &third]).worked();
}

#[test]
fn a_person_is_asked_about_a_publisher_who_is_new() {
    let home = Home::with_config(REQUIRE);
    let ada = key(&home, "ada");
    let file = signed(&home, "echo", "1.0.0", "ada");
    let ask = || {
        let mut terminal = Terminal::start(&home, &["add", &file]);
        terminal
            .expect("echo 1.0.0 from ")
            .expect("is signed by the minisign key ")
            .expect("Nobody has trusted them here");
        terminal.expect("Trust this publisher?");
        terminal
    };
    // The first answer is no.
    let mut terminal = ask();
    terminal.press(ENTER);
    let (code, seen) = terminal.end();
    assert!(code == 3 && seen.contains("untrusted-publisher"), "{seen}");
    assert_eq!(listed(&home), json!([]));
    let mut terminal = ask();
    terminal.press(DOWN).press(ENTER);
    assert_eq!(terminal.end().0, 0);
    assert_eq!(listed(&home)[0]["signer"]["key"], ada);
    // From now on nobody asks.
    let (code, seen) = Terminal::start(&home, &["add", &signed(&home, "echo", "1.1.0", "ada")]).end();
    assert!(code == 0 && !seen.contains("Trust this publisher?"), "{seen}");
    // It was for this skill.
    let mut terminal = Terminal::start(&home, &["add", &signed(&home, "other", "1.0.0", "ada")]);
    terminal.expect("Trust this publisher?").press(ENTER);
    assert_eq!(terminal.end().0, 3);
}

#[test]
fn keys_are_minisign_s_and_their_secret_is_never_shown() {
    let home = Home::new();
    let with_input = |args: &[&str], input: &str| {
        let path = home.write("input", input);
        let mut command = home.command(args);
        command.stdin(std::fs::File::open(path).unwrap());
        Done::of(&mut command)
    };
    let made = with_input(&["key", "new", "--format", "json"], "open sesame\n").worked().json();
    assert_eq!((made["name"].as_str(), made["password"].as_bool()), (Some("default"), Some(true)));
    let secret = std::fs::read_to_string(made["file"].as_str().unwrap()).unwrap();
    let secret = secret.lines().nth(1).unwrap();
    let file = skill(&home, "echo", "1.0.0");
    with_input(&["sign", &file], "sesame\n").fails(
        "key-invalid",
        2,
        "the password of `default` is not right",
        "try again",
    );
    with_input(&["sign", &file], "").fails("key-invalid", 2, "the password is empty", "--no-password");
    assert!(!std::path::Path::new(&format!("{file}.minisig")).exists());
    let done = with_input(&["sign", &file], "open sesame\n").worked();
    let text = home.run(&["key", "list"]).worked();
    assert!(text.out.contains(made["key"]["key"].as_str().unwrap()), "{text:?}");
    let told = format!("{done:?}{text:?}{made}{}", audited(&home));
    assert!(!told.contains(secret) && !told.contains("sesame"), "{told}");
    home.run(&["key", "new", "default", "--no-password"]).fails("already-exists", 2, "`default`", "never overwritten");
    home.run(&["sign", &file, "--key", "other"]).fails("not-found", 2, "no key named `other`", "key list");

    // What is signed, for other signers: exactly these bytes, which minisign's own verifier takes.
    let statement = home.run(&["sign", "--statement", &file]).worked().out;
    let parsed: Value = serde_json::from_str(&statement).unwrap();
    assert_eq!(parsed["type"], "ringfence-skill/v1");
    assert_eq!(
        (&parsed["name"], &parsed["version"], &parsed["wit"]),
        (&json!("echo"), &json!("1.0.0"), &json!("ringfence:skill@0.1.0"))
    );
    let public = minisign_verify::PublicKey::from_base64(made["key"]["key"].as_str().unwrap()).unwrap();
    let signature = std::fs::read_to_string(format!("{file}.minisig")).unwrap();
    public.verify(statement.as_bytes(), &minisign_verify::Signature::decode(&signature).unwrap(), false).unwrap();
    // Of the key that is given, and of no other.
    home.run(&["verify", &file, "--key", made["key"]["key"].as_str().unwrap()]).worked();
    let other = key(&home, "other");
    home.run(&["verify", &file, "--key", &other]).fails("untrusted-publisher", 3, "whom nobody has trusted", "--trust");
    home.run(&["verify", &file, "--identity", "a@b.test", "--issuer", "https://b.test"]).fails(
        "untrusted-publisher",
        3,
        "whom nobody has trusted",
        "--trust",
    );
}
