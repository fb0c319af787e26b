// Reads source code, proposes behaviours worth testing, and writes tests in the project's own style.
package main

import (
	"os"

	"ringfence"
)

func main() {}

// code is the folder that the operator grants. Tests put one of their own in its place.
var code = os.DirFS("/code")

func init() {
	ringfence.Tool("survey",
		"Lists the source files of the project: what each declares, which tests it has, and in which style they are written. Needs no model.",
		survey, ringfence.ReadOnly, ringfence.Idempotent, ringfence.Title("Survey the code"))
	ringfence.Tool("behaviours",
		"Reads one source file and proposes behaviours that are worth a test, the riskiest first, each with the mistake that its test would catch.",
		behaviours, ringfence.ReadOnly, ringfence.Title("Propose behaviours"))
	ringfence.Tool("write_tests",
		"Writes tests for one source file in the project's own style, and says what each would catch. Gives the text of a new test file and where it belongs, a path that no file has; changes no file.",
		writeTests, ringfence.ReadOnly, ringfence.Output[Written](), ringfence.Title("Write tests"))
}
