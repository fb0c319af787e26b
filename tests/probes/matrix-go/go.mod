module skill/matrix-go

go 1.27.1

require ringfence v0.0.0

require go.bytecodealliance.org/pkg v0.4.0 // indirect

replace (
	go.bytecodealliance.org/pkg => ../../../sdk/go/third_party/pkg
	ringfence => ../../../sdk/go
)
