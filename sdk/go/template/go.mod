module skill/{{name}}

go 1.27.1

require ringfence v0.0.0

require go.bytecodealliance.org/pkg v0.4.0 // indirect

// The SDK comes with the host, and with it the one module that it needs: nothing is fetched.
replace (
	go.bytecodealliance.org/pkg => {{sdk}}/third_party/pkg
	ringfence => {{sdk}}
)
