//! Secrets that the operator keeps. A skill never sees one: it puts a placeholder into a header of a request, and the host fills it in on
//! the way out, for the servers that the secret is bound to.

import { secrets as host } from "#host";

/** Whether this skill may use a secret of that name. */
export function exists(name: string): boolean {
  return host.exists(name);
}

/** What stands for the secret in a header: `{{secret:NAME}}`. */
export function placeholder(name: string): string {
  return `{{secret:${name}}}`;
}

/** The value of an `Authorization` header with the secret as its bearer token. */
export function bearer(name: string): string {
  return `Bearer ${placeholder(name)}`;
}
