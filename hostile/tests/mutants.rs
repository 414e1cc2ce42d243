//! Every reader over the recorded images, the corpus and mutants of both.

use std::path::Path;
use std::process::Command;

use hostile::mutate::mutant;
use hostile::targets::{self, ALL};
use hostile::{Random, Set, seeds};

#[test]
fn seeds_are_borne() {
    let seeds = seeds().unwrap();
    assert!(seeds.len() > 3, "{} seeds", seeds.len());
    for (_, bytes) in seeds {
        for (_, target) in ALL {
            target(&bytes);
        }
    }
}

/// What is put together again is what was taken apart: a mutant's lies are the mutator's.
#[test]
fn a_set_survives_being_taken_apart() {
    for (path, bytes) in seeds().unwrap().iter().filter(|(p, _)| p.extension().is_some_and(|x| x == "freeze")) {
        let files = Set::read(bytes).build();
        assert_eq!(files.len(), 3, "{}", path.display());
        let named: Vec<_> = files.iter().map(|f| (f, "file")).collect();
        let found = cryo_format::verify::verify_together(&named).unwrap();
        assert!(found.is_empty(), "{}: {found:?}", path.display());
    }
}

/// Mutants get behind the checksums: of some hundred, a good part is read to its end.
#[test]
fn mutants_are_mended() {
    let seed = Random::seed();
    println!("SEED={seed}");
    let mut random = Random::new(seed);
    let seeds: Vec<Vec<u8>> = seeds().unwrap().into_iter().map(|(_, bytes)| bytes).collect();
    let whole = (0..300).filter(|_| !Set::read(&mutant(&seeds, &mut random)).files.is_empty()).count();
    assert!(whole > 150, "{whole} of 300");
}

/// What is absurd is read to its end, too: else it would prove nothing.
#[test]
fn absurd_sets_are_sets() {
    let seed = Random::seed();
    println!("SEED={seed}");
    let mut random = Random::new(seed);
    for (path, bytes) in seeds().unwrap().iter().filter(|(p, _)| p.extension().is_some_and(|x| x == "freeze")) {
        let made = hostile::absurd::absurd(bytes, &mut random);
        let ice = cryo_inspect::ice::Ice::read(&made[..]).unwrap();
        assert_eq!(ice.problems, [""; 0], "{}", path.display());
        assert!(ice.all::<cryo_format::section::forked::Forked>().count() > 0);
        targets::commands(&made);
    }
}

/// In a process of its own, whose memory and patience are limited.
#[test]
fn mutants_are_borne() {
    let seed = Random::seed();
    let mut run = Command::new(env!("CARGO_BIN_EXE_hostile"));
    let done = run.args(["--once"]).env("SEED", seed.to_string()).current_dir(Path::new("/")).output().unwrap();
    let said = String::from_utf8_lossy(&done.stdout);
    assert!(done.status.success(), "SEED={seed}: {said}{}", String::from_utf8_lossy(&done.stderr));
    println!("{said}");
}
