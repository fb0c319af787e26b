// Package secrets is about secrets that the operator keeps. A skill never sees one: it puts a placeholder into a header of a request,
// and the host fills it in on the way out, for the servers that the secret is bound to.
package secrets

import "context"

// Exists says whether this skill may use a secret of that name.
func Exists(ctx context.Context, name string) bool { return exists(ctx, name) }

// Placeholder is what stands for the secret in a header: `{{secret:NAME}}`.
func Placeholder(name string) string { return "{{secret:" + name + "}}" }

// Bearer is the value of an `Authorization` header with the secret as its bearer token.
func Bearer(name string) string { return "Bearer " + Placeholder(name) }
