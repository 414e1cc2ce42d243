//! What nobody sees in a table is compared all the same: a set with one thing changed is another one.

#![allow(clippy::unwrap_used)] // clippy knows only functions marked as tests

mod common;

use std::path::Path;

use common::{inspect, set, stdout};
use cryo_format::prim::Addr;
use cryo_format::section::AnySection;
use cryo_inspect::ice::Ice;
use cryo_inspect::rewrite::{Change, write};

/// Changes a section, or a byte of a page of an object.
struct One {
    section: fn(&mut AnySection) -> bool,
    object: Option<u64>,
}

impl Change for One {
    fn section(&mut self, _: u64, section: &mut AnySection) -> bool {
        (self.section)(section)
    }

    fn page(&mut self, owner: u64, addr: u64, bytes: &mut [u8]) -> bool {
        let changes = self.object == Some(owner) && addr == 4096;
        bytes[100] ^= u8::from(changes);
        changes
    }
}

/// The set, and a copy of it in which one thing is another.
fn compared(section: fn(&mut AnySection) -> bool, object: Option<u64>) -> String {
    let dir = tempfile::tempdir().unwrap();
    set().store(&dir.path().join("img"));
    let ice = Ice::open(&dir.path().join("img.freeze")).unwrap();
    assert_eq!(ice.problems, [""; 0]);
    write(&ice, &dir.path().join("other"), &mut One { section, object }, false).unwrap();
    stdout(&inspect(dir.path(), &["diff", "img", "other"], b""), 1)
}

#[test]
fn a_copy_is_the_same() {
    let dir = tempfile::tempdir().unwrap();
    set().store(&dir.path().join("img"));
    let ice = Ice::open(&dir.path().join("img.freeze")).unwrap();
    write(&ice, &dir.path().join("other"), &mut One { section: |_| false, object: None }, false).unwrap();
    assert_eq!(stdout(&inspect(dir.path(), &["diff", "img", "other"], b""), 0), "");
}

#[test]
fn what_is_not_shown_is_compared() {
    type Case = (&'static str, fn(&mut AnySection) -> bool);
    let cases: [Case; 5] = [
        ("signal handlers", |s| match s {
            AnySection::Actions(a) => {
                a.actions.0[0].restorer = Addr(0x1234);
                true
            }
            _ => false,
        }),
        // The bytes of a message: only its length is shown.
        ("[fd=31].unix.queue", |s| match s {
            AnySection::Unix(u) if !u.queue.is_empty() => {
                u.queue.0[0].data.0.0[0] ^= 1;
                true
            }
            _ => false,
        }),
        ("[fd=45].what.pipe.begins", |s| match s {
            AnySection::Pipe(p) if !p.content.is_empty() => {
                p.content.0[0].0.0[0] ^= 1;
                true
            }
            _ => false,
        }),
        // What the terminal is read from at: its speeds are not shown.
        ("[fd=43].pseudo_terminal.ispeed", |s| match s {
            AnySection::Pty(p) => {
                p.settings.ispeed ^= 1;
                true
            }
            _ => false,
        }),
        (".inet.kept", |s| match s {
            AnySection::Inet(i) if !i.kept.is_empty() => {
                i.kept.0[0].sent.0.0[0] ^= 1;
                true
            }
            _ => false,
        }),
    ];
    for (named, change) in cases {
        let said = compared(change, None);
        assert!(said.contains(named) || said.contains(&named.replace(' ', "_")), "{named}: {said}");
    }
}

/// A deleted file that is open, and mapped by nobody.
#[test]
fn what_is_in_files_is_compared() {
    let said = compared(|_| false, Some(11));
    assert!(said.contains("contents: 1 object with other bytes") && said.contains("0x1064"), "{said}");
}

fn piped(dir: &Path, parts: &[&[u8]], code: i32) -> String {
    let out = inspect(dir, &["info", "-"], &parts.concat());
    assert_eq!(out.status.code(), Some(code));
    String::from_utf8(out.stderr).unwrap()
}

/// Files that do not belong together are not shown as one set without a word.
#[test]
fn a_mixed_set_on_a_pipe() {
    let dir = tempfile::tempdir().unwrap();
    let files = set().0;
    set().store(&dir.path().join("img"));
    let v1 = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/v1");
    let strange = std::fs::read(v1.join("smallest.frost")).unwrap();
    assert_eq!(piped(dir.path(), &[&files[0], &files[1], &files[2]], 0), "");
    let said = piped(dir.path(), &[&files[0], &strange, &files[2]], 1);
    assert!(said.contains("-: .frost: does not belong to -: .freeze"), "{said}");
    let said = piped(dir.path(), &[&files[0], &files[1], &strange, &files[2]], 1);
    assert!(said.contains("a second .frost"), "{said}");
    let out = inspect(dir.path(), &["dump", "--format", "json", "-"], &[&files[1][..], &strange].concat());
    assert_eq!(out.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&out.stderr).contains("two files .frost"));
}

/// What would change nothing, overwrite or never end is refused before anything is written.
#[test]
fn what_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    set().store(&dir.path().join("img"));
    let refused: [(&[&str], &str); 6] = [
        (
            &["edit", "img", "-o", "new", "--path", "/usr/bin/example=/x", "--path", "/nowhere=/x"],
            "--path /nowhere=/x: no path",
        ),
        (&["edit", "img", "-o", "new", "--register", "eax=1"], "eax: no general register"),
        (&["fds", "img", "--kind", "sockets"], "there are: file"),
        (&["map", "img", "--kind", "haep"], "possible values: anon"),
        (&["info", "nothing"], "nothing: there is no such file, and no nothing.freeze"),
        (&["schema", "edit"], "invalid value 'edit'"),
    ];
    for (args, why) in refused {
        let out = inspect(dir.path(), args, b"");
        let said = String::from_utf8_lossy(&out.stderr);
        assert_eq!(out.status.code(), Some(2), "{args:?}: {said}");
        assert!(said.contains(why), "{args:?}: {said}");
    }
    assert!(!dir.path().join("new.freeze").exists() && !dir.path().join("new.frore").exists());
    assert_eq!(inspect(dir.path(), &["report", "img", "-o", "page.html"], b"").status.code(), Some(0));
    let again = inspect(dir.path(), &["report", "img", "-o", "page.html"], b"");
    assert!(String::from_utf8_lossy(&again.stderr).contains("--force"));
    assert_eq!(again.status.code(), Some(2));
    assert_eq!(inspect(dir.path(), &["report", "img", "-o", "page.html", "--force"], b"").status.code(), Some(0));
    // Paths of all kinds are replaced, and the set goes on to verify.
    let args = ["edit", "img", "-o", "new", "--path", "/usr/bin/example=/x"];
    assert_eq!(inspect(dir.path(), &args, b"").status.code(), Some(0));
    let verified = inspect(dir.path(), &["verify", "new"], b"");
    // What this set breaks anyhow (it is made to be printed) stays so; no more.
    let before = inspect(dir.path(), &["verify", "img"], b"").stdout;
    let rules =
        |out: &[u8]| String::from_utf8_lossy(out).split("rule ").skip(1).map(|r| r[..2].to_owned()).collect::<Vec<_>>();
    assert_eq!(rules(&verified.stdout), rules(&before));
}

#[test]
fn numbers_that_are_cut_off_are_told() {
    let dir = tempfile::tempdir().unwrap();
    set().store(&dir.path().join("img"));
    let text = stdout(&inspect(dir.path(), &["hexdump", "img", "500003+22", "--as", "u64"], b""), 0);
    assert!(
        text.starts_with("000000500003 ")
            && text.contains("000000500013 ")
            && text.contains("(04 04 04 04 04 04 left)"),
        "{text}"
    );
    let rows = stdout(&inspect(dir.path(), &["hexdump", "img", "500003+22", "--as", "u64", "--format", "csv"], b""), 0);
    assert!(rows.lines().last().unwrap().contains("04 04 04 04 04 04 left"), "{rows}");
}

/// A terabyte of holes goes down no pipe; a file gets them as holes.
#[test]
fn holes_of_an_object() {
    use std::os::unix::fs::MetadataExt;
    let dir = tempfile::tempdir().unwrap();
    set().store(&dir.path().join("small"));
    let ice = Ice::open(&dir.path().join("small.freeze")).unwrap();
    let mut change = One {
        section: |s| match s {
            AnySection::Objects(o) => {
                o.objects.0.iter_mut().filter(|o| o.id == 11).for_each(|o| o.size = 1 << 40);
                true
            }
            _ => false,
        },
        object: None,
    };
    write(&ice, &dir.path().join("img"), &mut change, false).unwrap();
    let out = inspect(dir.path(), &["extract", "img", "--object", "11"], b"");
    assert!(out.stdout.is_empty());
    assert!(String::from_utf8_lossy(&out.stderr).contains("object 11 has 1 TiB, of which the image holds 8 KiB"));
    assert_eq!(inspect(dir.path(), &["extract", "img", "--object", "11", "-o", "file"], b"").status.code(), Some(0));
    let about = std::fs::metadata(dir.path().join("file")).unwrap();
    assert_eq!(about.len(), 1 << 40);
    assert!(about.blocks() < 1000, "{}", about.blocks());
    let whole = inspect(dir.path(), &["extract", "small", "--object", "11"], b"");
    assert_eq!(whole.stdout, [8; 5000]);
}

/// Bytes of the set's heap.
const POKED: &str = "500020=ff ee";

/// The set, and a copy in which a register of the first thread and bytes of memory are others.
fn two_changes(dir: &Path) {
    set().store(&dir.join("img"));
    let edit = |from: &str, to: &str, what: &[&str]| {
        let typed: Vec<&str> = ["edit", from, "-o", to].into_iter().chain(what.iter().copied()).collect();
        stdout(&inspect(dir, &typed, b""), 0);
    };
    edit("img", "half", &["--register", "r15=0x123456", "--tid", "4242"]);
    edit("half", "other", &["--poke", POKED]);
}

#[test]
fn only_what_is_chosen() {
    let dir = tempfile::tempdir().unwrap();
    two_changes(dir.path());
    let differs = |filter: &[&str], code| {
        let typed: Vec<&str> = ["diff", "img", "other"].into_iter().chain(filter.iter().copied()).collect();
        stdout(&inspect(dir.path(), &typed, b""), code)
    };
    let all = differs(&[], 1);
    assert!(all.contains("r15") && all.contains("segment with other bytes"), "{all}");
    assert_eq!(differs(&["--pid", "4242"], 1), all);
    assert_eq!(differs(&["--tid", "4243"], 0), "");
    let registers = differs(&["--tid", "4242"], 1);
    assert!(registers.contains("r15") && !registers.contains("other bytes"), "{registers}");
    let (at, _) = POKED.split_once('=').unwrap();
    let memory = differs(&["--range", &format!("{at}+8"), "--bytes"], 1);
    assert!(!memory.contains("r15") && memory.contains("1 segment with other bytes"), "{memory}");
    assert_eq!(differs(&["--range", "1000+1000"], 0), "");
    let error = |filter: &[&str]| {
        let typed: Vec<&str> = ["diff", "img", "other"].into_iter().chain(filter.iter().copied()).collect();
        let said = inspect(dir.path(), &typed, b"");
        assert_eq!(said.status.code(), Some(2));
        String::from_utf8_lossy(&said.stderr).into_owned()
    };
    assert!(error(&["--pid", "99999"]).contains("no such process in either image"));
    assert!(error(&["--tid", "99999"]).contains("no such thread in either image"));
    assert!(error(&["--state", "--perm", "w"]).contains("one or the other"));
}
