//! How deep components lie in one another, and declarations of types: looked at without going down into them.

use wasmparser::{BinaryReader, ComponentType, ComponentTypeDeclaration, Parser, Payload};

use super::LoadError;

/// How deep components may lie in one another, and declarations of types in one another. What toolchains make needs a handful.
const DEEPEST: usize = 100;

/// Refuses what is nested more deeply than anything that is meant. The parser reads a type within a type by calling itself: 10,000 of
/// them, in 30 KB, use up the stack, which ends the whole process. And the time of validating components in components grows with
/// the square of how deep they lie.
pub(super) fn check(bytes: &[u8]) -> Result<(), LoadError> {
    let mut depth = 0_usize;
    // What cannot be read is for `precheck` to say.
    for payload in Parser::new(0).parse_all(bytes).map_while(Result::ok) {
        let deepest = match payload {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => {
                depth += 1;
                depth
            }
            Payload::End(_) => {
                depth = depth.saturating_sub(1);
                depth
            }
            Payload::ComponentTypeSection(types) => {
                let section = types.range();
                let reader = BinaryReader::new(bytes.get(section.clone()).unwrap_or_default(), section.start);
                // As above.
                depth_of_types(reader).unwrap_or_default()
            }
            _ => continue,
        };
        if deepest > DEEPEST {
            return Err(LoadError::CompileLimit(format!(
                "components or types lie more than {DEEPEST} deep in one another"
            )));
        }
    }
    Ok(())
}

/// How deep the types of a section are declared in one another, or one more than they may be.
fn depth_of_types(mut reader: BinaryReader<'_>) -> wasmparser::Result<usize> {
    // How many declarations are left, the outermost list first.
    let mut left = vec![reader.read_var_u32()?];
    let mut deepest = 0;
    while let Some(here) = left.last_mut() {
        let Some(less) = here.checked_sub(1) else {
            left.pop();
            continue;
        };
        *here = less;
        let start = reader.clone();
        // In a section there are types; in a type there are declarations, of which 1 is that of a type.
        if left.len() > 1 && reader.read_u8()? != 1 {
            reader = start;
            reader.read::<ComponentTypeDeclaration<'_>>()?;
            continue;
        }
        let start = reader.clone();
        match reader.read_u8()? {
            // A component's type, or an instance's: more declarations.
            0x41 | 0x42 => {
                left.push(reader.read_var_u32()?);
                deepest = deepest.max(left.len() - 1);
                if deepest > DEEPEST {
                    break;
                }
            }
            _ => {
                reader = start;
                reader.read::<ComponentType<'_>>()?;
            }
        }
    }
    Ok(deepest)
}

#[cfg(test)]
mod tests {
    use super::super::precheck;
    use super::*;

    const HEAD: &[u8] = b"\0asm\x0d\0\x01\0";

    fn leb(mut n: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        while n > 0x7f {
            bytes.push(u8::try_from(n & 0x7f).unwrap() | 0x80);
            n >>= 7;
        }
        bytes.push(u8::try_from(n).unwrap());
        bytes
    }

    /// A component with one section of types.
    fn of_types(body: &[u8]) -> Vec<u8> {
        [HEAD, &[7], &leb(body.len()), body].concat()
    }

    /// The type of a component (0x41) or an instance (0x42) that declares such a type, so many deep, between others.
    fn declared(kind: u8, depth: usize) -> Vec<u8> {
        let within = [kind, 2, 1, 0x70, 0x7d, 1].repeat(depth - 1);
        of_types(&[&[2, 0x40, 0, 1, 0][..], &within, &[kind, 0]].concat())
    }

    #[test]
    fn t11_what_is_nested_too_deeply_is_refused_before_anybody_goes_down_into_it() {
        let too_deep = |bytes: &[u8], what: &str| match precheck::check(bytes) {
            Err(LoadError::CompileLimit(why)) => assert!(why.contains("more than 100 deep"), "{what}: {why}"),
            other => panic!("{what}: {other:?}"),
        };
        for kind in [0x41, 0x42] {
            let deepest = declared(kind, DEEPEST);
            precheck::check(&deepest).and_then(|()| precheck::validate(&deepest)).unwrap();
            for depth in [DEEPEST + 1, 10_000, 1_000_000] {
                too_deep(&declared(kind, depth), "types");
            }
        }
        let nested =
            |depth: usize| (1..depth).fold(HEAD.to_vec(), |inner, _| [HEAD, &[4], &leb(inner.len()), &inner].concat());
        // The outermost one lies in none.
        precheck::check(&nested(DEEPEST + 1)).unwrap();
        too_deep(&nested(DEEPEST + 2), "components");
        too_deep(&nested(2_000), "components");
        // Beside one another they may be as many as they like.
        let beside = [HEAD, &[&[4, 8], HEAD].concat().repeat(900)].concat();
        precheck::check(&beside).unwrap();
    }

    #[test]
    fn t11_a_chain_of_types_is_refused_and_ends_nobody() {
        // Each instance's type has an instance of the one before it. None is declared within another.
        let chain = |count: usize| {
            let links =
                (1..count).flat_map(|n| [&[0x42, 2, 2, 3, 2, 1][..], &leb(n - 1), &[4, 0, 1, b'x', 5, 0]].concat());
            of_types(&leb(count).into_iter().chain([0x42, 0]).chain(links).collect::<Vec<_>>())
        };
        let both = |bytes: &[u8]| precheck::check(bytes).and_then(|()| precheck::validate(bytes));
        both(&chain(90)).unwrap();
        for count in [200, 100_000] {
            assert!(matches!(both(&chain(count)), Err(LoadError::Invalid(_))), "{count}");
        }
    }
}
