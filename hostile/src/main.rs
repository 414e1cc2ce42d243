//! `cargo run -p hostile --release -- --seconds N [TARGET...]`: mutants for N seconds, under limits of memory and time. Prints the seed of each
//! thousand mutants, so that what was found can be found again: `SEED=... cargo run -p hostile -- --once`.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use hostile::mutate::mutant;
use hostile::targets::{ALL, Target};
use hostile::{Random, seeds};
use rustix::process::{Resource, Rlimit, setrlimit};

/// Address space for everything, seeds and mutants too. (A mutant has half a megabyte at most.)
const MEMORY: u64 = 512 << 20;
/// One mutant in all readers: a thousand times of what it takes.
const PATIENCE: Duration = Duration::from_secs(30);
/// Mutants of one seed.
const ROUND: u64 = 1000;

fn main() -> anyhow::Result<()> {
    let mut seconds = 10;
    let mut once = false;
    let mut chosen: Vec<Target> = Vec::new();
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        match word.as_str() {
            "--seconds" => seconds = words.next().context("--seconds N")?.parse()?,
            "--once" => once = true,
            name => match ALL.iter().find(|(target, _)| *target == name) {
                Some(target) => chosen.push(*target),
                None => bail!("{name} is no target: {}", ALL.map(|(name, _)| name).join(", ")),
            },
        }
    }
    if chosen.is_empty() {
        chosen = ALL.to_vec();
    }
    let seeds: Vec<Vec<u8>> = seeds()?.into_iter().map(|(_, bytes)| bytes).collect();
    let limit = Some(MEMORY);
    setrlimit(Resource::As, Rlimit { current: limit, maximum: limit }).context("limiting our memory")?;

    let end = Instant::now() + Duration::from_secs(seconds);
    let mut seed = Random::seed();
    let mut executions = 0_u64;
    watch()?;
    loop {
        println!("SEED={seed}");
        let mut random = Random::new(seed);
        for _ in 0..ROUND {
            let bytes = mutant(&seeds, &mut random);
            for (_, target) in &chosen {
                target(&bytes);
            }
            executions += chosen.len() as u64;
            DONE.fetch_add(1, Ordering::Relaxed);
            if !once && Instant::now() >= end {
                break;
            }
        }
        if once || Instant::now() >= end {
            break;
        }
        seed = seed.wrapping_add(1);
    }
    println!("{executions} executions of {} targets, {} MiB at most", chosen.len(), peak()? >> 10);
    Ok(())
}

static DONE: AtomicU64 = AtomicU64::new(0);

/// Ends us when one mutant takes too long.
fn watch() -> anyhow::Result<()> {
    std::thread::Builder::new().stack_size(64 << 10).spawn(|| {
        let mut seen = (DONE.load(Ordering::Relaxed), Instant::now());
        loop {
            std::thread::sleep(Duration::from_millis(200));
            let done = DONE.load(Ordering::Relaxed);
            if done != seen.0 {
                seen = (done, Instant::now());
            } else if seen.1.elapsed() > PATIENCE {
                eprintln!("mutant {} of its seed takes more than {PATIENCE:?}", done % ROUND);
                std::process::abort();
            }
        }
    })?;
    Ok(())
}

/// Most memory that we had, in KiB.
fn peak() -> anyhow::Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:")).context("no VmHWM")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}
