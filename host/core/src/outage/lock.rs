//! A project's lock: whatever ends while it is written, it is the old one or the new one, and nothing else stays in the project.

use std::path::Path;

use super::child::{Shim, cases, folders};
use super::disk::Disk;
use super::record::Event;
use super::work::Teller;
use crate::catalog::lock::{LOCK_FILE, Lock};

/// Long enough to be written in several pieces, were it not written at once.
const SKILLS: usize = 20;

/// The lock that is written as the `number`th: each has more in it.
fn lock(number: usize) -> Lock {
    let entry = |skill: usize| {
        format!(
            "[[skill]]\nname = \"s{skill}\"\nversion = \"1.0.{number}\"\nreference = \"oci://a.test/s:{skill}\"\n\
             digest = \"sha256:{:064x}\"\ngrants = \"sha256:{:064x}\"\n",
            skill + number,
            number
        )
    };
    let text: String = (0..SKILLS * number).map(entry).collect();
    Lock::parse(Path::new(LOCK_FILE), &format!("version = 1\n{text}")).unwrap()
}

/// Writes one after the other.
pub(super) fn write(dir: &Path, teller: &mut Teller) -> Result<(), String> {
    for number in 1..=2 {
        lock(number).write(dir).map_err(|error| error.to_string())?;
        teller.tell(&format!("written {number}"));
    }
    Ok(())
}

#[test]
fn t107_a_lock_that_is_written_when_the_process_or_the_power_ends_is_the_old_one_or_the_new_one() {
    let shim = Shim::compiled();
    let (_dir, root) = folders(0..1);
    let mut disk = Disk::load(&root.join("0"));
    let (events, wrong) = shim.child(&root, "lock 0 1");
    assert_eq!(wrong, None);
    let (_left, left) = folders(0..0);
    let (mut written, mut tried, mut half) = (0, 0, 0);
    for (at, event) in cases(events).remove(&0).unwrap().iter().enumerate() {
        for how in ["killed", "cut"] {
            let into = left.join(format!("{at}-{how}"));
            if how == "cut" {
                disk.lose(&into)
            } else {
                disk.kill(&into)
            }
            let found =
                Lock::read(&into).unwrap_or_else(|error| panic!("{how} before {at}, {}: {error}", event.word()));
            let found = (0..=2).find(|number| found.clone().unwrap_or_default() == lock(*number));
            let found = found.unwrap_or_else(|| panic!("{how} before {at}, {}: it is neither", event.word()));
            assert!(found == written || found == written + 1, "{how} before {at}: {found} after {written}");
            tried += 1;
            let names = |of: &Path| -> Vec<String> {
                let entries = std::fs::read_dir(of).unwrap();
                entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect()
            };
            half += usize::from(names(&into).iter().any(|name| name != LOCK_FILE));
            // Somebody else's, however alike.
            std::fs::write(into.join(".tmpAbCdEf"), "x").unwrap();
            if at % 2 == 0 {
                lock(2).write(&into).unwrap();
                assert_eq!(Lock::read(&into).unwrap(), Some(lock(2)));
            } else {
                assert!(Lock::clean(&into) < 1 << 20);
            }
            std::fs::remove_file(into.join(".tmpAbCdEf")).unwrap();
            assert!(names(&into).iter().all(|name| name == LOCK_FILE), "{how} before {at}: {:?}", names(&into));
        }
        disk.apply(event);
        if let Event::Note(note) = event
            && note.starts_with("written")
        {
            written += 1;
        }
    }
    // Opened, written, synced, renamed, synced: twice.
    assert!(written == 2 && tried >= 20 && half >= 4, "{written}, {tried}, {half}");
}
