//! Components that no compiler would make, written by hand.

/// The types of the interface `skill`. A name with `$` before it is another of them.
const TYPES: &[(&str, &str)] = &[
    ("tool-hints", r#"(flags "read-only" "destructive" "idempotent" "open-world")"#),
    (
        "tool",
        r#"(record (field "name" string) (field "title" (option string)) (field "description" string)
            (field "input-schema" string) (field "output-schema" (option string)) (field "hints" $tool-hints))"#,
    ),
    ("caller", r#"(enum "user" "client" "model" "skill")"#),
    (
        "context",
        r#"(record (field "invocation" string) (field "caller" $caller) (field "deadline-ms" u64)
            (field "locale" (option string)))"#,
    ),
    ("media", r#"(record (field "media-type" string) (field "data" (list u8)))"#),
    ("link", r#"(record (field "uri" string) (field "title" (option string)) (field "media-type" (option string)))"#),
    ("content", r#"(variant (case "text" string) (case "image" $media) (case "audio" $media) (case "link" $link))"#),
    ("outcome", r#"(record (field "content" (list $content)) (field "structured" (option string)))"#),
    ("failure-kind", r#"(enum "invalid-input" "unknown-tool" "refused" "unavailable" "failed")"#),
    ("failure", r#"(record (field "kind" $failure-kind) (field "message" string) (field "hint" (option string)))"#),
];

/// The type `refusal` of the interface `types`, and those that it is made of, as an imported interface declares them.
const REFUSAL: &str = r#"
        (type $denial-is (record (field "capability" string) (field "subject" string) (field "reason" string) (field "hint" string)))
        (export "denial" (type $denial (eq $denial-is)))
        (type $overrun-is (record (field "scope" string) (field "unit" string) (field "limit" u64) (field "used" u64)
            (field "needed" u64)))
        (export "overrun" (type $overrun (eq $overrun-is)))
        (type $excess-is (record (field "what" string) (field "limit" u64) (field "actual" (option u64))))
        (export "excess" (type $excess (eq $excess-is)))
        (type $refusal-is (variant (case "denied" $denial) (case "over-budget" $overrun) (case "unavailable" string)
            (case "invalid" string) (case "too-large" $excess) (case "timed-out" string) (case "cancelled")))
        (export "refusal" (type $refusal (eq $refusal-is)))
"#;

const TOOLS: &str = "(func (result (list $tool)))";
const CALL: &str = r#"(func (param "name" string) (param "input" string) (param "context" $context)
    (result (result $outcome (error $failure))))"#;

/// A whole skill of one tool `act`. `call` is the body of its core function, whose result is the address of the outcome: 128
/// is an empty one. `module` stands in its core module, `beside` in the component.
pub(crate) fn skill(call: &str, module: &str, beside: &str) -> Vec<u8> {
    skill_of("0.1.0", call, module, beside)
}

/// A whole skill with this manifest in it, as `ringfence build` packs it.
pub(crate) fn packaged_skill(manifest: &serde_json::Value) -> Vec<u8> {
    with_section(skill("(i32.const 128)", "", ""), "ringfence:manifest", manifest.to_string().as_bytes())
}

/// With a custom section at its end.
pub(crate) fn with_section(mut bytes: Vec<u8>, name: &str, data: &[u8]) -> Vec<u8> {
    // Kind 0, size in LEB128, a name with its length, bytes.
    bytes.push(0);
    let mut size = 1 + name.len() + data.len();
    while size > 0x7f {
        bytes.push((size & 0x7f) as u8 | 0x80);
        size >>= 7;
    }
    bytes.extend([size as u8, name.len() as u8]);
    bytes.extend(name.bytes());
    bytes.extend(data);
    bytes
}

/// The same of a name and a version, with what it requests.
pub(crate) fn named(name: &str, version: &str, permissions: serde_json::Value) -> Vec<u8> {
    packaged_skill(&serde_json::json!({
        "name": name, "version": version, "description": "Does little.", "permissions": permissions,
    }))
}

/// The same of a name and a version, which imports these interfaces and uses nothing of them.
pub(crate) fn importing(name: &str, version: &str, interfaces: &[&str]) -> Vec<u8> {
    let imports: String = interfaces.iter().map(|name| format!("(import \"{name}\" (instance))")).collect();
    let manifest = serde_json::json!({ "name": name, "version": version, "description": "Does little." });
    packaged(skill("(i32.const 128)", "", &imports), &manifest)
}

/// The same for another version of the interface.
pub(crate) fn skill_of(version: &str, call: &str, module: &str, beside: &str) -> Vec<u8> {
    whole(version, call, module, beside, "", LIFTED)
}

/// A whole skill that imports: `REFUSAL` in `beside` stands for the types of refusals, and `beside` may lower functions into the memory and `realloc` of the core instance `$libc`, `given`
/// hands them to the core module (`(with "host" (instance ...))`), and `module` begins with its imports.
pub(crate) fn asking(call: &str, module: &str, beside: &str, given: &str) -> Vec<u8> {
    asking_lifted(call, module, beside, given, LIFTED)
}

/// The same whose `call` is lifted with `options`: functions of the core instances `$libc` and `$code` that run around it.
pub(crate) fn asking_lifted(call: &str, module: &str, beside: &str, given: &str, options: &str) -> Vec<u8> {
    whole("0.1.0", call, module, &beside.replace("REFUSAL", REFUSAL), given, options)
}

/// How `call` is lifted where nothing else is said.
const LIFTED: &str = r#"(realloc (core func $libc "realloc"))"#;

fn whole(version: &str, call: &str, module: &str, beside: &str, given: &str, options: &str) -> Vec<u8> {
    let plain: String = TYPES.iter().map(|(name, ty)| format!("(type ${name} {ty})\n")).collect();
    let imported: String = TYPES
        .iter()
        .map(|(name, ty)| format!("(type $of-{name} {ty}) (import \"type-{name}\" (type ${name} (eq $of-{name})))\n"))
        .collect();
    let exported: String = TYPES
        .iter()
        .map(|(name, ty)| format!("(type $own-{name} {ty}) (export $out-{name} \"{name}\" (type $own-{name}))\n"))
        .map(|text| renamed(&text))
        .collect();
    let types: String = TYPES.iter().map(|(name, _)| format!("(with \"type-{name}\" (type ${name}))\n")).collect();
    let (tools_out, call_out) = (renamed(TOOLS), renamed(CALL));
    parse(&format!(
        r#"(component
            (core module $libc
                (memory (export "memory") 2)
                (global $next (mut i32) (i32.const 4096))
                (func (export "realloc") (param i32 i32 i32 i32) (result i32)
                    (local $at i32)
                    (local.set $at (i32.and (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))
                    (global.set $next (i32.add (local.get $at) (local.get 3)))
                    (local.get $at)))
            (core instance $libc (instantiate $libc))
            {beside}
            (core module $code
                (import "libc" "memory" (memory 2))
                {module}
                (data (i32.const 0) "\40\00\00\00\01\00\00\00")
                (data (i32.const 64) "\00\01\00\00\03\00\00\00" "\00\00\00\00\00\00\00\00\00\00\00\00"
                    "\04\01\00\00\05\00\00\00" "\0c\01\00\00\11\00\00\00")
                (data (i32.const 256) "act\00Acts.\00\00\00{{\22type\22:\22object\22}}")
                (func (export "tools") (result i32) (i32.const 0))
                (func (export "call") (param i32 i32 i32 i32 i32 i32 i32 i64 i32 i32 i32) (result i32) {call}))
            (core instance $code (instantiate $code (with "libc" (instance $libc)) {given}))
            {plain}
            (type $tools-type {TOOLS})
            (type $call-type {CALL})
            (func $tools (type $tools-type) (canon lift (core func $code "tools") (memory (core memory $libc "memory"))))
            (func $call (type $call-type)
                (canon lift (core func $code "call") (memory (core memory $libc "memory")) {options}))
            (component $face
                {imported}
                (import "tools" (func $tools (type $tools-in)))
                (import "call" (func $call (type $call-in)))
                {exported}
                (export "tools" (func $tools) {tools_out})
                (export "call" (func $call) {call_out}))
            (instance $face (instantiate $face {types} (with "tools" (func $tools)) (with "call" (func $call))))
            (export "ringfence:skill/skill@{version}" (instance $face)))"#,
    )
    .replace("(func $tools (type $tools-in))", &TOOLS.replacen("(func", "(func $tools", 1))
    .replace("(func $call (type $call-in))", &CALL.replacen("(func", "(func $call", 1)))
}

/// A component with this manifest in it, as `ringfence build` puts it there.
pub(crate) fn packaged(mut component: Vec<u8>, manifest: &serde_json::Value) -> Vec<u8> {
    let (name, data) = ("ringfence:manifest", manifest.to_string());
    let size = 1 + name.len() + data.len();
    // A custom section: kind 0, size in LEB128, a name with its length, bytes.
    component.push(0);
    component.extend([(size & 0x7f) as u8 | 0x80, u8::try_from(size >> 7).unwrap()]);
    component.push(u8::try_from(name.len()).unwrap());
    component.extend(name.bytes());
    component.extend(data.bytes());
    component
}

/// A plain component: `module` stands in its core module, and `text` beside it. `LIFT name` is how a function of the core module becomes
/// one of the component: `(func (export "add") (param "a" s32) (result s32) LIFT add)`.
pub(crate) fn plain(module: &str, text: &str) -> Vec<u8> {
    let mut lifted = text.to_owned();
    while let Some(at) = lifted.find("LIFT ") {
        let name: String = lifted[at + 5..].chars().take_while(|c| c.is_alphanumeric()).collect();
        let lift = format!(
            "(canon lift (core func $i \"{name}\") (memory (core memory $i \"memory\")) (realloc (core func $i \"realloc\")))"
        );
        lifted.replace_range(at..at + 5 + name.len(), &lift);
    }
    let realloc = r#"(func (export "realloc") (param i32 i32 i32 i32) (result i32)
        (local $at i32)
        (local.set $at (i32.and (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))
        (global.set $next (i32.add (local.get $at) (local.get 3)))
        (if (i32.gt_u (global.get $next) (i32.shl (memory.size) (i32.const 16)))
            (then (drop (memory.grow (i32.add (i32.shr_u (local.get 3) (i32.const 16)) (i32.const 1))))))
        (local.get $at))"#;
    let realloc = if module.contains("\"realloc\"") { "" } else { realloc };
    parse(&format!(
        r#"(component
            (core module $m
                (memory (export "memory") 2)
                (global $next (mut i32) (i32.const 4096))
                {realloc}
                {module})
            (core instance $i (instantiate $m))
            {lifted})"#
    ))
}

/// The same text about the types that the face exports.
fn renamed(text: &str) -> String {
    TYPES.iter().fold(text.to_owned(), |text, (name, _)| {
        [' ', ')'].iter().fold(text, |text, end| text.replace(&format!(" ${name}{end}"), &format!(" $out-{name}{end}")))
    })
}

pub(crate) fn parse(text: &str) -> Vec<u8> {
    wat::parse_str(text).unwrap_or_else(|error| panic!("{error}"))
}
