//! Secrets that the operator keeps. A skill never sees one: it puts a placeholder into a header of a request, and the host
//! fills it in on the way out, for the servers that the secret is bound to.

use crate::host;

/// Whether this skill may use a secret of that name.
pub fn exists(name: &str) -> bool {
    host::secrets_exists(name)
}

/// What stands for the secret in a header: `{{secret:NAME}}`.
///
/// ```
/// use ringfence_skill::secrets;
///
/// assert_eq!(secrets::bearer("GITHUB_TOKEN"), "Bearer {{secret:GITHUB_TOKEN}}");
/// ```
pub fn placeholder(name: &str) -> String {
    format!("{{{{secret:{name}}}}}")
}

/// The value of an `Authorization` header with the secret as its bearer token.
pub fn bearer(name: &str) -> String {
    format!("Bearer {}", placeholder(name))
}
