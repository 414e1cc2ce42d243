//! `THRD`: what the kernel keeps for each thread; and the questions that only the process itself can be asked, all in one go.

use cryo_format::prim::Addr;
use cryo_format::section::thread::Thread;
use cryo_tracee::proc::{Stat, Status};
use cryo_tracee::remote::{Done, Remote, Running, Slot};
use cryo_tracee::{Batch, ForkedCopy, Memory, Process, Stopped};

use super::residence::{self, Residence};
use super::witness::Witness;
use super::{
    Collected, Held, RefusalKind, Scene, actions, aio, credentials, itimers, keyrings, landlock, ldt, limits,
    mempolicy, mm, pkeys, prctls, process, ptimers, refuse, scheduling, semundo, snapshot,
};
use crate::Result;

/// Questions to a thread about itself.
struct Questions {
    altstack: Slot,
    tid_address: Slot,
    credentials: credentials::Questions,
    scheduling: scheduling::Questions,
    mempolicy: mempolicy::Question,
    keyrings: keyrings::Questions,
    landlock: landlock::Question,
    prctls: prctls::Questions,
}

impl Questions {
    /// `session`: see [`keyrings::may_be_joined`].
    fn ask(batch: &mut Batch, session: bool, witness: Option<&Witness>) -> Self {
        let altstack = batch.space(24);
        batch.call(libc::SYS_sigaltstack, &[0, altstack.addr]);
        let tid_address = batch.space(8);
        batch.call(libc::SYS_prctl, &[libc::PR_GET_TID_ADDRESS as u64, tid_address.addr]);
        let (credentials, scheduling) = (credentials::Questions::ask(batch), scheduling::Questions::ask(batch));
        Self {
            altstack,
            tid_address,
            credentials,
            scheduling,
            mempolicy: mempolicy::Question::ask(batch),
            keyrings: keyrings::Questions::ask(batch, session),
            landlock: landlock::Question::ask(batch, witness),
            prctls: prctls::Questions::ask(batch),
        }
    }

    /// Refuses or notes what is not carried.
    fn check(&self, tid: i32, status: &Status, done: &Done, out: &mut Collected) -> Result<()> {
        keyrings::check(tid, &self.keyrings, done, out)?;
        prctls::check(tid, status, &self.prctls, done, out)
    }
}

/// Questions to the process, and its answers.
pub struct Answers {
    /// What the calls brought.
    pub done: Done,
    /// Is SIGTRAP ignored?
    pub ignores_traps: bool,
    /// Handlers.
    pub actions: actions::Questions,
    /// Landmarks of memory.
    pub mm: mm::Questions,
    /// Identity.
    pub process: process::Questions,
    /// Resource limits.
    pub limits: limits::Questions,
    /// Interval timers.
    pub itimers: itimers::Questions,
    /// Pages of shared memory.
    pub residence: Residence,
    /// Would it, or a member above it, become the parent of a copy's? See [`process::Questions::adopts`].
    pub adopts: bool,
}

/// A process that is being asked. What it does takes it some microseconds each time; many processes do so side by side, each a step of theirs.
pub struct Asking<'p> {
    remote: Remote<'p>,
    others: &'p mut [Stopped],
    memory: &'p Memory,
    /// The main thread's id, and what can be read of it from outside.
    main: (i32, Thread),
    ignores_traps: bool,
    asked: Option<(Asked, Running)>,
}

/// What it was asked.
struct Asked {
    thread: Questions,
    actions: actions::Questions,
    mm: mm::Questions,
    process: process::Questions,
    limits: limits::Questions,
    itimers: itimers::Questions,
    keys: pkeys::Questions,
    ldt: ldt::Question,
    policies: mempolicy::Ranges,
}

impl<'p> Asking<'p> {
    /// The first step: it gets ready.
    pub fn begin(process: &'p mut Process, scene: &Scene<'_>) -> Result<Self> {
        let rips = process.threads.iter().map(|t| Ok(t.regs()?.rip)).collect::<Result<Vec<u64>>>()?;
        let Process { threads, memory, .. } = process;
        let (main, others) = threads.split_first_mut().ok_or(cryo_tracee::Error::Died(scene.pid))?;
        let status = scene.thread(0)?;
        let (rest, ignores_traps) = ((main.tid(), kernel_side(main, scene, status)?), main.ignores_traps());
        let remote = Remote::begin(main, scene.arch, memory, &scene.maps, &rips, status.clone())?;
        Ok(Self { remote, others, memory, main: rest, ignores_traps, asked: None })
    }

    /// The second: it answers.
    pub fn ask(&mut self, scene: &Scene<'_>) -> Result<()> {
        let remote = &mut self.remote;
        remote.entered()?;
        let scratch = remote.scratch();
        let mut batch = remote.batch();
        let asked = Asked {
            thread: Questions::ask(&mut batch, scene.may_have_joined_keyring, scene.witness.as_deref()),
            actions: actions::Questions::ask(&mut batch),
            mm: mm::Questions::ask(&mut batch, scene, scratch)?,
            process: process::Questions::ask(&mut batch),
            limits: limits::Questions::ask(&mut batch),
            itimers: itimers::Questions::ask(&mut batch),
            keys: pkeys::Questions::ask(&mut batch),
            ldt: ldt::Question::ask(&mut batch),
            policies: mempolicy::Ranges::ask(&mut batch, scene),
        };
        self.asked = Some((asked, remote.begin_run(batch)?));
        Ok(())
    }

    /// The third: adds the threads, each of which is asked, and holds a copy of the process if it may go on early. `adopted`: its parent among the members
    /// [`adopts`](Answers::adopts).
    pub fn answers(
        &mut self,
        scene: &Scene<'_>,
        adopted: bool,
        out: &mut Collected,
        held: &mut Held,
    ) -> Result<Answers> {
        let Self { remote, others, memory, main: (main_tid, main_rest), ignores_traps, asked } = self;
        let Some((asked, running)) = asked.take() else {
            return refuse(RefusalKind::Internal, format!("{} was not asked", scene.name()));
        };
        let ids = &scene.thread_ids;
        let (main_id, other_ids) = ids.split_first().ok_or(cryo_tracee::Error::Died(scene.pid))?;
        let (mut credentials, mut scheduling) = (Vec::new(), Vec::new());
        let mut each = |tid, id, status: &Status, q: &Questions, done: &Done| -> Result<()> {
            credentials.push((id, credentials::collect(status, &q.credentials, done)?));
            scheduling.push((id, scheduling::collect(tid, &scene.machine.online, &q.scheduling, done)?));
            Ok(())
        };
        let (session, witness) = (scene.may_have_joined_keyring, scene.witness.as_deref());
        let questions = &asked.thread;
        let done = remote.finish_run(running)?;
        pkeys::check(scene, &asked.keys, &done)?;
        ldt::collect(remote, scene, &asked.ldt, &done, out)?;
        questions.check(*main_tid, scene.thread(0)?, &done, out)?;
        landlock::check(scene, *main_tid, scene.thread(0)?, witness, &questions.landlock, &done, out)?;
        each(*main_tid, *main_id, scene.thread(0)?, questions, &done)?;
        out.add(*main_id, with_answers(std::mem::take(main_rest), questions, &done)?);
        mempolicy::thread(*main_id, &questions.mempolicy, &done, out);

        let answers = remote.run_each(others, |batch| Questions::ask(batch, session, witness))?;
        for (i, ((thread, id), (questions, done))) in (1..).zip(others.iter().zip(other_ids).zip(&answers)) {
            let status = scene.thread(i)?;
            let rest = kernel_side(thread, scene, status)?;
            questions.check(thread.tid(), status, done, out)?;
            landlock::check(scene, thread.tid(), status, witness, &questions.landlock, done, out)?;
            each(thread.tid(), *id, status, questions, done)?;
            out.add(*id, with_answers(rest, questions, done)?);
            mempolicy::thread(*id, &questions.mempolicy, done, out);
        }
        out.add_each(scene.id, credentials);
        out.add_each(scene.id, scheduling);
        ptimers::collect(remote, scene, ids, out)?;
        semundo::collect(remote, scene, out)?;
        asked.policies.collect(remote, scene, &done, out)?;
        aio::collect(remote, others, memory, scene, out)?;
        let residence = residence::ask(remote, scene)?;
        // Where it cannot be had (no memory, no more processes allowed), the original stands still until its pages are written.
        let adopts = adopted || asked.process.adopts(scene, &done);
        let possible = snapshot::possible(scene) && !adopts && !held.no_copies;
        held.copies.push(if possible { ForkedCopy::of(remote).ok() } else { None });
        remote.begin_leave();
        let Asked { actions, mm, process, limits, itimers, .. } = asked;
        let ignores_traps = *ignores_traps;
        Ok(Answers { done, ignores_traps, actions, mm, process, limits, itimers, residence, adopts })
    }

    /// The fourth: it goes back to where it was. When this is dropped it is there.
    pub fn begin_return(&mut self) {
        self.remote.begin_return();
    }
}

/// Adds the main thread that has exited: a zombie as long as others run.
pub fn exited(scene: &Scene<'_>, id: u64, out: &mut Collected) -> Result<()> {
    let status = Status::of(scene.pid)?;
    out.add(
        id,
        Thread {
            process: scene.id,
            tid: status.inner("NSpid").unwrap_or(scene.pid as u64),
            comm: status.name().into(),
            exited: 1,
            exit_code: Stat::of(scene.pid)?.field(52).unwrap_or(0) as u32,
            ..Thread::default()
        },
    );
    Ok(())
}

/// What can be read from outside.
fn kernel_side(thread: &Stopped, scene: &Scene<'_>, status: &Status) -> Result<Thread> {
    let tid = thread.tid();
    let (robust_list, robust_list_len) = scene.arch.robust_list(tid)?;
    let (rseq, rseq_size, rseq_signature) = thread.rseq().unwrap_or_default();
    let tid_there = status.inner("NSpid").unwrap_or(tid as u64);
    let dispatch = thread.dispatch();
    Ok(Thread {
        process: scene.id,
        tid: tid_there,
        comm: status.name().into(),
        sigmask: Addr(thread.sigmask()?),
        robust_list: Addr(robust_list),
        robust_list_len,
        rseq: Addr(rseq),
        rseq_size,
        rseq_signature,
        dispatch_mode: dispatch.mode,
        dispatch_selector: Addr(dispatch.selector),
        dispatch_offset: Addr(dispatch.offset),
        dispatch_len: dispatch.len,
        ..Thread::default()
    })
}

fn with_answers(mut thread: Thread, q: &Questions, done: &Done) -> Result<Thread> {
    // A kernel without PR_GET_TID_ADDRESS (no CONFIG_CHECKPOINT_RESTORE) leaves the slot zero.
    done.result(0)?;
    thread.altstack_sp = Addr(done.word(q.altstack, 0));
    // The on-stack bit is a fact of the moment, not a setting.
    thread.altstack_flags = (done.word(q.altstack, 1) as u32 & !(libc::SS_ONSTACK as u32)).into();
    thread.altstack_size = done.word(q.altstack, 2);
    thread.clear_child_tid = Addr(done.word(q.tid_address, 0));
    Ok(thread)
}
