module ringfence

go 1.27.1

require go.bytecodealliance.org/pkg v0.4.0

// The runtime of the generated bindings comes with the SDK, so that a build needs no network.
replace go.bytecodealliance.org/pkg => ./third_party/pkg
