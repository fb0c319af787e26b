//! What is printed in the end.

use std::fmt::Write as _;
use std::path::Path;

use crate::run::Found;

pub(crate) fn table(all: &[Found]) -> String {
    let mut text = format!(
        "{:<12} {:>12} {:>9} {:>15} {:>13} {:>9} {:>8}\n",
        "target", "executions", "per s", "edges", "corpus", "peak MiB", "crashes"
    );
    for found in all {
        let grown = |(from, to): (u64, u64)| format!("{from} > {to}");
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "{:<12} {:>12} {:>9} {:>15} {:>13} {:>9} {:>8}",
            found.name,
            found.executions,
            found.per_second,
            grown(found.edges),
            grown(found.corpus),
            found.peak_mib,
            // A process that died without naming an input is one as well.
            if found.held { 0 } else { found.crashes.len().max(1) },
        );
    }
    text
}

/// What broke, and how to see it again.
pub(crate) fn crash(found: &Found, program: &Path) -> String {
    let mut text = format!("{}: something did not hold; the whole log is {}\n", found.name, found.log.display());
    let log = std::fs::read_to_string(&found.log).unwrap_or_default();
    let said = log.lines().skip_while(|line| !line.contains("panicked at") && !line.contains("ERROR:"));
    for line in said.take(6) {
        let _ = writeln!(text, "    {}", line.chars().take(400).collect::<String>());
    }
    for path in &found.crashes {
        let _ = writeln!(text, "  kept: {}", path.display());
        let _ = writeln!(text, "  again: RINGFENCE_FUZZ={} {} {}", found.name, program.display(), path.display());
    }
    text
}
