//! A cheap look at a component before anything expensive is done with it.
//!
//! A size limit is no defence: compiling a component of 136 KiB can take 15 seconds and 1.3 GB, because the cost of a function
//! grows with locals times branches. So functions are counted and weighed here, in linear time, before Cranelift sees them.
//! The process that compiles is limited as well, for what is not foreseen here.
//!
//! Whether it is valid is found out in that process alone. The validator keeps a type for each value on the stack, and instantiates
//! components as types: 200 KB of calls that each give 1,000 values take it 1.5 GB, and 100 KB that instantiate a component 400 times
//! 1.3 GB. Nothing of that may happen in the host, where it would end all that runs beside it.

use wasmparser::{Operator, Parser, Payload, ValidPayload, Validator};

use super::{LoadError, depth};

/// Functions in all modules of a component. CPython with its standard library has about 30,000.
const FUNCTIONS: u64 = 200_000;
/// Bytes of one function's body. The evaluation loop of an interpreter is the largest that real toolchains make.
const BODY_BYTES: usize = 2 << 20;
/// Locals of one function.
const LOCALS: u64 = 10_000;
/// Locals times branches of one function: 4 million take about half a second and 70 MiB to compile.
const LOCALS_BY_BRANCHES: u64 = 24_000_000;

/// Refuses what is not a component, or would be too expensive to compile. What is let through need not be valid: see [`validate`].
pub(crate) fn check(bytes: &[u8]) -> Result<(), LoadError> {
    if bytes.is_empty() {
        return Err(LoadError::Invalid("the file is empty".into()));
    }
    if wasmtime::Engine::detect_precompiled(bytes).is_some() {
        return Err(LoadError::Invalid("this is compiled machine code; only WebAssembly is loaded".into()));
    }
    match bytes.get(..8) {
        Some(head) if Parser::is_core_wasm(head) => {
            return Err(LoadError::Invalid("this is a core module, not a component".into()));
        }
        Some(head) if Parser::is_component(head) => {}
        Some([b'\0', b'a', b's', b'm', version @ ..]) => return Err(LoadError::Invalid(unknown_version(version))),
        None if bytes.starts_with(b"\0asm") => {
            return Err(LoadError::Invalid(format!("it is cut off at byte {}", bytes.len())));
        }
        _ => return Err(LoadError::Invalid("this is not WebAssembly: it does not begin with \\0asm".into())),
    }
    depth::check(bytes)?;
    let mut functions = 0;
    for payload in Parser::new(0).parse_all(bytes) {
        match payload.map_err(invalid)? {
            Payload::ModuleSection { unchecked_range, .. } | Payload::ComponentSection { unchecked_range, .. }
                if unchecked_range.end > bytes.len() =>
            {
                return Err(LoadError::Invalid(format!("it is cut off at byte {}", bytes.len())));
            }
            Payload::CodeSectionEntry(body) => {
                functions += 1;
                if functions > FUNCTIONS {
                    return Err(LoadError::CompileLimit(format!("it has more than {FUNCTIONS} functions")));
                }
                weigh(&body)?;
            }
            _ => {}
        }
    }
    Ok(())
}

/// Refuses what is not valid, which may take any memory and any time: only for a process that may be ended. Goes down into what
/// [`check`] has to have let through before.
pub(crate) fn validate(bytes: &[u8]) -> Result<(), LoadError> {
    // Types that hold one another more than 127 deep fail an assertion of the validator (wasmparser 0.254). Nothing is shared with
    // what is dropped here.
    std::panic::catch_unwind(|| validate_all(bytes)).map_or_else(
        |_| {
            let why = "the validator gave it up; its types hold one another too deeply, or it is damaged";
            Err(LoadError::Invalid(why.into()))
        },
        |result| result.map_err(invalid),
    )
}

fn validate_all(bytes: &[u8]) -> wasmparser::Result<()> {
    let mut validator = Validator::new_with_features(super::config::features());
    let mut allocations = wasmparser::FuncValidatorAllocations::default();
    for payload in Parser::new(0).parse_all(bytes) {
        if let ValidPayload::Func(function, body) = validator.payload(&payload?)? {
            let mut function = function.into_validator(allocations);
            function.validate(&body)?;
            allocations = function.into_allocations();
        }
    }
    Ok(())
}

/// The four bytes after the name say which version of the format it is, and whether it is a module or a component.
fn unknown_version(version: &[u8]) -> String {
    let bytes: Vec<String> = version.iter().map(|byte| format!("{byte:02x}")).collect();
    format!(
        "it is WebAssembly in a version of the format that is not known here: bytes 4 to 8 are {}, and those of a component \
         0d 00 01 00; build it with tools of this version, or take a newer host",
        bytes.join(" ")
    )
}

fn weigh(body: &wasmparser::FunctionBody<'_>) -> Result<(), LoadError> {
    let bytes = body.range().len();
    if bytes > BODY_BYTES {
        return Err(LoadError::CompileLimit(format!("one function is {bytes} bytes long, of at most {BODY_BYTES}")));
    }
    let mut locals = 0_u64;
    for group in body.get_locals_reader().map_err(invalid)? {
        locals += u64::from(group.map_err(invalid)?.0);
    }
    if locals > LOCALS {
        return Err(LoadError::CompileLimit(format!("one function has {locals} locals, of at most {LOCALS}")));
    }
    let mut branches = 0_u64;
    for operator in body.get_operators_reader().map_err(invalid)? {
        branches += match operator.map_err(invalid)? {
            Operator::Br { .. } | Operator::BrIf { .. } | Operator::If { .. } | Operator::Block { .. } => 1,
            Operator::Loop { .. } | Operator::Else => 1,
            Operator::BrTable { targets } => u64::from(targets.len()) + 1,
            _ => 0,
        };
    }
    if locals.saturating_mul(branches) > LOCALS_BY_BRANCHES {
        return Err(LoadError::CompileLimit(format!(
            "one function has {locals} locals across {branches} branches, which would take too long to compile"
        )));
    }
    Ok(())
}

fn invalid(error: wasmparser::BinaryReaderError) -> LoadError {
    LoadError::Invalid(format!("{} (at byte {})", error.message(), error.offset()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn both(bytes: &[u8]) -> Result<(), LoadError> {
        check(bytes).and_then(|()| validate(bytes))
    }

    fn refusal(bytes: &[u8]) -> LoadError {
        both(bytes).unwrap_err()
    }

    #[test]
    fn what_is_not_a_component_is_named() {
        assert!(refusal(b"").to_string().contains("empty"));
        assert!(refusal(b"\0as").to_string().contains("not WebAssembly: it does not begin with"));
        assert!(refusal(b"\0asm").to_string().contains("cut off at byte 4"));
        assert!(refusal(b"#!/bin/sh\necho hello").to_string().contains("not WebAssembly"));
        assert!(refusal(&wat::parse_str("(module)").unwrap()).to_string().contains("core module"));
    }

    #[test]
    fn a_version_of_the_format_that_is_not_known_is_said() {
        for (bytes, version) in [(b"\0asm\x0e\0\x01\0", "0e 00 01 00"), (b"\0asm\x02\0\0\0", "02 00 00 00")] {
            let error = refusal(bytes);
            assert!(matches!(error, LoadError::Invalid(_)), "{error}");
            let error = error.to_string();
            assert!(error.contains("version of the format") && error.contains(version), "{error}");
            assert!(!error.contains("does not begin"), "{error}");
        }
    }

    #[test]
    fn every_truncation_of_a_component_is_refused_or_whole() {
        let bytes = wat::parse_str(
            r#"(component (core module $m (func (export "f") (param i32) (result i32) local.get 0))
                 (core instance $i (instantiate $m))
                 (func (export "f") (param "x" u32) (result u32) (canon lift (core func $i "f"))))"#,
        )
        .unwrap();
        both(&bytes).unwrap();
        let ends: Vec<usize> =
            Parser::new(0).parse_all(&bytes).filter_map(|payload| Some(payload.unwrap().as_section()?.1.end)).collect();
        for cut in 0..bytes.len() {
            // A cut between two sections leaves a smaller but valid component.
            assert!(both(&bytes[..cut]).is_err() || cut == 8 || ends.contains(&cut), "{cut}");
        }
    }

    #[test]
    fn a_bomb_of_locals_and_branches_is_refused_quickly() {
        let locals = "(local i32)".repeat(8_000);
        let branches = "(block (br_if 0 (i32.const 1)))".repeat(8_000);
        let text = format!("(component (core module (func {locals} {branches})))");
        let bytes = wat::parse_str(text).unwrap();
        assert!(matches!(check(&bytes), Err(LoadError::CompileLimit(_))));
        let small = "(component (core module (func (local i32) (block (br_if 0 (i32.const 1))))))";
        both(&wat::parse_str(small).unwrap()).unwrap();
    }

    #[test]
    fn proposals_that_are_off_are_refused() {
        for module in [
            "(module (memory i64 1))",
            "(module (type (struct)))",
            "(module (tag))",
            "(module (memory 1 1 shared))",
            "(module (func (drop (i8x16.relaxed_swizzle (v128.const i64x2 0 0) (v128.const i64x2 0 0)))))",
        ] {
            let bytes = wat::parse_str(format!("(component (core {}", &module[1..].to_owned()) + ")").unwrap();
            assert!(matches!(refusal(&bytes), LoadError::Invalid(_)), "{module}");
        }
    }
}
