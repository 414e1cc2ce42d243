//! The keeper: a process of its own that traces the family, keeps the lists, and freezes it when it is asked to.
//!
//! It needs nobody: when the overseer dies, the family runs on, watched as before, and another one takes over (`overseer attach`). It answers on a unix
//! socket, the same user and root only. Its own end is the family's (PTRACE_O_EXITKILL), since watched calls without a tracer would fail.

use std::any::Any;
use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use cryo_freeze::freeze::Target;
use cryo_freeze::keeper::{self, Order};
use cryo_freeze::live::Remembered;
use cryo_freeze::{Confirm, Error, Refusal, RefusalKind, Tracer, View};
use cryo_thaw::Handed;
use cryo_tracee::proc::Status;
use cryo_tracee::tracees::{Call, Event, Next, Question, Resume, Tracees, alone, children_signal};
use cryo_tracee::{LIMIT, Stopped};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde_json::{Value, json};

use super::calls;
use super::compare;
use super::lists::{Lists, Member, kind, link};
use super::log::Log;
use super::pace::Pace;
use super::pids::answers::Answers;
use super::pids::{Pids, translate, translated};
use super::record::{Record, What};
use super::set_uid::{Fate, Rights};

/// Results by which the kernel says to itself that a call is made again (linux/errno.h).
const RESTARTED: std::ops::RangeInclusive<i64> = -516..=-512;

/// During a freeze the family is looked after for so long at once, at most.
const MOMENT: Duration = Duration::from_millis(1);

/// What is left when events have been handled.
enum Events {
    /// Nothing, for now.
    Quiet,
    /// There may be more.
    More,
    /// Nobody.
    Over,
}

/// It, with all that it knows.
pub struct Keeper {
    tracees: Tracees,
    /// The threads, each with its process.
    threads: HashMap<i32, i32>,
    /// Calls whose result is awaited.
    pending: HashMap<i32, Call>,
    /// The numbers that the family sees, where they are not the kernel's.
    pids: Option<Pids>,
    /// Where it asks for the numbers of its own.
    answers: Answers,
    /// While the family is to stand still: who does.
    halting: Option<HashSet<i32>>,
    lists: Lists,
    /// Has the root become its program?
    begun: bool,
    log: Option<Log>,
    rights: Rights,
    pace: Pace,
    /// What is watched from one freeze to the next.
    remembered: Option<Remembered>,
    /// Overseers that want to know how it ends.
    fronts: Vec<UnixStream>,
}

/// What the keeper's process of a program does that is started; returns its exit status.
pub fn run(tracees: Tracees, (log, rights): (Option<Log>, Rights)) -> i32 {
    let root = tracees.root();
    let mut lists = Lists::default();
    lists.born(root, 0);
    let threads = HashMap::from([(root, root)]);
    let mut keeper = Keeper::of(tracees, threads, lists, (log, rights));
    i32::from(listen().and_then(|listener| keeper.keep(&listener)).is_err())
}

/// The same of one that is thawed: it listens when this returns, and what is returned goes on from there. `members` are its processes.
pub fn thawed(
    tracees: Tracees,
    handed: Vec<Handed>,
    members: Vec<Member>,
    (pids, log, rights): (Option<Pids>, Option<Log>, Rights),
) -> std::io::Result<Box<dyn FnOnce() -> i32>> {
    let listener = listen()?;
    let lists = Lists::thawed(members);
    let threads = handed.iter().flat_map(|p| p.tids.iter().map(|tid| (*tid, p.pid))).collect();
    let answers = Answers::of(handed.into_iter().filter_map(|p| p.listener));
    Ok(Box::new(move || {
        let mut files: Vec<_> = log.iter().map(Log::fd).chain(rights.fd()).chain([listener.as_raw_fd()]).collect();
        files.extend(answers.polled().map(|polled| polled.as_fd().as_raw_fd()));
        alone(&files);
        let mut keeper = Keeper { pids, answers, begun: true, ..Keeper::of(tracees, threads, lists, (log, rights)) };
        i32::from(keeper.keep(&listener).is_err())
    }))
}

fn listen() -> std::io::Result<UnixListener> {
    let listener = UnixListener::bind_addr(&keeper::address(std::process::id() as i32)?)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

impl Keeper {
    /// One whose program has not begun yet, and sees the kernel's pids.
    fn of(tracees: Tracees, threads: HashMap<i32, i32>, lists: Lists, (log, rights): (Option<Log>, Rights)) -> Self {
        Self {
            tracees,
            threads,
            pending: HashMap::new(),
            pids: None,
            answers: Answers::default(),
            halting: None,
            lists,
            begun: false,
            log,
            rights,
            pace: Pace::default(),
            remembered: None,
            fronts: Vec::new(),
        }
    }

    fn keep(&mut self, listener: &UnixListener) -> std::io::Result<()> {
        let mut children = children_signal().map_err(std::io::Error::other)?;
        loop {
            let _ = children.read(&mut [0; 4096]);
            let wait = match self.events() {
                Events::Over => return Ok(()),
                Events::Quiet => None,
                Events::More => Some(&Timespec { tv_sec: 0, tv_nsec: 0 }),
            };
            // Where more has happened already it is not waited for again: who asks all the time must not hold up who has stopped.
            while self.answered_only(&children, listener, wait) && wait.is_none() {}
        }
    }

    /// Waits for what happens next, and answers. Did somebody ask for a number of its own, and nothing else happened?
    fn answered_only(&mut self, children: &File, listener: &UnixListener, wait: Option<&Timespec>) -> bool {
        let mut fds = vec![PollFd::new(children, PollFlags::IN), PollFd::new(listener, PollFlags::IN)];
        fds.extend(self.answers.polled());
        let _ = poll(&mut fds, wait);
        let happened: Vec<PollFlags> = fds.iter().map(PollFd::revents).collect();
        let (usual, asked) = happened.split_at(2);
        self.give(asked);
        if !usual[1].is_empty()
            && let Ok((stream, _)) = listener.accept()
        {
            self.answer(stream);
        }
        usual.iter().all(PollFlags::is_empty) && asked.iter().any(|flags| !flags.is_empty())
    }

    /// Answers who has asked for a number of its own, where polling said so.
    fn give(&mut self, asked: &[PollFlags]) {
        let mut answers = std::mem::take(&mut self.answers);
        answers.give(asked, |question| self.number(question));
        self.answers = answers;
    }

    /// The number that somebody asks for.
    fn number(&mut self, question: &Question) -> i64 {
        let pid = self.process(question.tid);
        let call = Call { i386: question.i386, number: question.number, args: [0; 6], result: false };
        let own = |pids| translate::own(pids, pid, question.tid, &call);
        self.pids.as_ref().and_then(own).unwrap_or(-i64::from(libc::ENOSYS))
    }

    /// Handles what has happened, and what happens soon. Who asks us something is not kept waiting by a family that always does something.
    fn events(&mut self) -> Events {
        let until = Instant::now() + Duration::from_millis(10);
        loop {
            match self.handle(until) {
                Events::Quiet if self.pace.awake() && Instant::now() < until => std::hint::spin_loop(),
                events => return events,
            }
        }
    }

    /// Handles what has happened, until then.
    fn handle(&mut self, until: Instant) -> Events {
        loop {
            match self.tracees.next_event() {
                Ok(Next::Stopped(thread, event)) => {
                    self.stopped(thread, event);
                    self.pace.stopped();
                }
                Ok(Next::Ended(tid, status)) => self.ended(tid, status),
                Ok(Next::Nobody) => return Events::Over,
                Ok(Next::Nothing) | Err(_) => return Events::Quiet,
            }
            if Instant::now() > until {
                return Events::More;
            }
        }
    }

    fn stopped(&mut self, mut thread: Stopped, event: Event) {
        let tid = thread.tid();
        let pid = self.process(tid);
        if let (Event::Signal(_) | Event::JobControl(_) | Event::Still, Some(pids)) = (event, &self.pids) {
            translated::complete(pids, pid, &mut thread);
        }
        let how = match event {
            Event::Call(call) if self.refuses(&call, pid, &mut thread) => Resume::On,
            Event::Call(call) => {
                let known = self.pids.as_ref().is_some_and(|pids| translated::enter(pids, pid, &call, &mut thread));
                if call.result && !known && calls::matters(&call, &thread) {
                    self.pending.insert(tid, call);
                    Resume::ToResult
                } else {
                    if let Some(what) = calls::tell(&call, 0, &thread) {
                        self.note(pid, tid, what);
                    }
                    Resume::On
                }
            }
            Event::Result(result) => {
                if let Some(call) = self.pending.remove(&tid) {
                    let seen = match &self.pids {
                        Some(pids) => translated::leave(pids, &call, result, &mut thread),
                        None => result,
                    };
                    if !RESTARTED.contains(&result)
                        && let Some(what) = calls::tell(&call, seen, &thread)
                    {
                        self.note(pid, tid, what);
                    }
                }
                Resume::On
            }
            Event::Born(child) => {
                let of = self.process(child);
                self.lists.born(of, pid);
                self.note(pid, tid, What::Born { child, thread: of == pid });
                // The call that has made it has no result yet.
                if self.pending.contains_key(&tid) { Resume::ToResult } else { Resume::On }
            }
            Event::Executed(former) => {
                if former != tid {
                    self.threads.remove(&former);
                    self.pending.remove(&former);
                }
                self.note(pid, tid, What::Executed);
                if !self.begun {
                    self.begun = true;
                    self.lists.begin(pid);
                }
                Resume::On
            }
            Event::Signal(signal) => {
                self.note(pid, tid, What::Signal { signal });
                if let Some(pids) = &self.pids {
                    translated::sender(pids, &thread);
                }
                Resume::With(signal)
            }
            Event::JobControl(_) | Event::Still => {
                if let Some(standing) = &mut self.halting {
                    standing.insert(tid);
                    return thread.leave();
                }
                if event == Event::Still { Resume::On } else { Resume::Listen }
            }
        };
        thread.resume(how);
    }

    /// Was this call one that is not made (`--set-uid refuse`)?
    fn refuses(&mut self, call: &Call, pid: i32, thread: &mut Stopped) -> bool {
        let Some(what) = self.rights.executes(call, thread) else { return false };
        let refused = matches!(what, What::SetUid { fate: Fate::Refused, .. });
        self.note(pid, thread.tid(), what);
        refused
    }

    fn ended(&mut self, tid: i32, status: i32) {
        self.pending.remove(&tid);
        if self.threads.remove(&tid).is_none_or(|pid| pid != tid) {
            return;
        }
        self.note(tid, tid, What::Ended { status });
        self.lists.ended(tid);
        if tid == self.tracees.root() {
            self.rights.hush();
            for mut front in self.fronts.drain(..) {
                let _ = front.write_all(format!("{}\n", json!({ "ended": status })).as_bytes());
            }
        }
    }

    /// The process of a thread, which is entered if nobody knew it.
    fn process(&mut self, tid: i32) -> i32 {
        if let Some(pid) = self.threads.get(&tid) {
            return *pid;
        }
        let status = Status::of(tid).ok();
        let number = |key| status.as_ref().and_then(|s| s.number(key)).map(|n| n as i32);
        let pid = number("Tgid").unwrap_or(tid);
        self.threads.insert(tid, pid);
        if let Some(pids) = &mut self.pids {
            pids.born(tid);
        }
        self.lists.born(pid, number("PPid").unwrap_or(0));
        pid
    }

    fn note(&mut self, pid: i32, tid: i32, what: What) {
        self.lists.enter(pid, &what);
        if let Some(log) = &mut self.log {
            let at = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_nanos() as u64);
            log.add(&Record { at, pid, tid, what });
        }
    }

    /// Answers a question; see [`cryo_freeze::keeper`].
    fn answer(&mut self, mut stream: UnixStream) {
        let ready = stream.set_nonblocking(false).and_then(|()| stream.set_read_timeout(Some(Duration::from_secs(1))));
        if ready.is_err() || !keeper::is_ours(&stream) {
            return;
        }
        let Ok((line, pipe)) = keeper::receive(&stream) else { return };
        let question: Value = serde_json::from_slice(&line).unwrap_or_default();
        let reply = if question.get("show").is_some() {
            self.show()
        } else if question.get("attach").is_some() {
            json!({ "root": self.tracees.root() })
        } else if let Some(order) = Order::read(&question) {
            self.freeze(&order, pipe, &stream)
        } else {
            json!({ "error": "this is no question", "kind": "Argument" })
        };
        // Who asks and does not read is not waited for.
        let _ = stream.set_write_timeout(Some(Duration::from_secs(1)));
        if stream.write_all(format!("{reply}\n").as_bytes()).is_ok() && question.get("attach").is_some() {
            self.fronts.push(stream);
        }
    }

    fn show(&self) -> Value {
        let mut members = json!(self.lists.now());
        for member in members.as_array_mut().into_iter().flatten() {
            let pid = member["pid"].as_i64().unwrap_or(0) as i32;
            let Some(descriptors) = member["descriptors"].as_object_mut() else { continue };
            for (fd, descriptor) in descriptors {
                let link = fd.parse().ok().and_then(|fd| link(pid, fd)).unwrap_or_default();
                descriptor["now"] = String::from_utf8_lossy(&link).into();
                if descriptor["kind"] == "?" {
                    descriptor["kind"] = kind(&link).into();
                }
            }
        }
        json!({ "root": self.tracees.root(), "keeper": std::process::id(), "members": members })
    }

    /// Freezes a process of the family.
    fn freeze(&mut self, order: &Order, mut pipe: Option<File>, who: &UnixStream) -> Value {
        let mut options = order.options.clone();
        if order.confirm {
            options.confirm = keeper::confirm(who).unwrap_or_else(|e| Confirm::by(move |_| Err(e.to_string())));
        }
        let target = match (&order.name, &mut pipe) {
            (Some(name), _) => Some(Target::Name(name)),
            (None, Some(file)) => Some(Target::Pipe(file)),
            (None, None) => None,
        };
        // Whatever goes wrong there must not be the family's end.
        let done = target.map(|target| {
            catch_unwind(AssertUnwindSafe(|| cryo_freeze::freeze_traced(order.pid, target, &options, self)))
        });
        let done = match done {
            Some(Ok(done)) => done,
            Some(Err(panic)) => Err(unforeseen(&*panic)),
            None => Err(Refusal::new(RefusalKind::Argument, "it is not said where the set is to go").into()),
        };
        self.let_go();
        keeper::reply(&done)
    }

    /// Has all threads stand still, in stops in which the kernel is ready to make interrupted calls again. False if that takes too long.
    ///
    /// Who has called vfork(2) does not stop before its child executes a program or ends, and the child must not stand still for that: all are let go,
    /// and it is tried again.
    fn halt(&mut self) -> bool {
        let begin = Instant::now();
        let mut pause = Duration::from_millis(1);
        while !self.try_to_halt() {
            self.let_go();
            if begin.elapsed() > LIMIT {
                return false;
            }
            let until = Instant::now() + pause;
            while Instant::now() < until {
                self.events();
                nap();
            }
            pause = (pause * 2).min(Duration::from_millis(100));
        }
        true
    }

    fn try_to_halt(&mut self) -> bool {
        // Who stood still may have been let go with the family that was frozen.
        let standing = self.halting.get_or_insert_default();
        standing.retain(|tid| self.tracees.standing(*tid).map(Stopped::leave).is_some());
        let begin = Instant::now();
        let mut asked = HashSet::new();
        loop {
            for tid in self.threads.keys().copied().collect::<Vec<_>>() {
                // One that stands already, newborn or not, is not asked: it would stop once more when it is let go.
                if asked.insert(tid) && self.halting.as_ref().is_some_and(|standing| !standing.contains(&tid)) {
                    self.tracees.interrupt(tid);
                }
            }
            self.events();
            let standing = self.halting.as_ref();
            if standing.is_some_and(|standing| self.threads.keys().all(|tid| standing.contains(tid))) {
                return true;
            }
            if begin.elapsed() > Duration::from_millis(100) {
                return false;
            }
            nap();
        }
    }

    /// Lets all go on that still stand.
    fn let_go(&mut self) {
        self.halting = None;
        let mut gone = Vec::new();
        for tid in self.threads.keys().copied() {
            if let Some(thread) = self.tracees.standing(tid) {
                self.tracees.go_on(thread);
            } else if Status::of(tid).is_err() {
                gone.push(tid); // its end was told to the freezer
            }
        }
        for tid in gone {
            self.ended(tid, libc::SIGKILL);
        }
    }
}

impl Tracer for Keeper {
    fn attend(&mut self) {
        if self.halting.is_some() {
            self.let_go();
        }
        self.handle(Instant::now() + MOMENT);
        let mut fds: Vec<PollFd<'_>> = self.answers.polled().collect();
        if fds.is_empty() {
            return;
        }
        let _ = poll(&mut fds, Some(&Timespec::default()));
        let asked: Vec<PollFlags> = fds.iter().map(PollFd::revents).collect();
        self.give(&asked);
    }

    fn view(&mut self) -> View {
        View {
            histories: compare::histories(&self.lists.now()),
            ids: self.pids.as_ref().map_or_else(HashMap::new, |pids| pids.all().clone()),
        }
    }

    fn remembered(&mut self) -> &mut Option<Remembered> {
        &mut self.remembered
    }

    fn halt(&mut self) -> cryo_freeze::Result<()> {
        if Keeper::halt(self) { Ok(()) } else { Err(busy()) }
    }
}

fn unforeseen(panic: &dyn Any) -> Error {
    let what = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    let text = format!(
        "the freeze failed in an unforeseen way ({}); the program goes on",
        what.unwrap_or("it is not known how")
    );
    Refusal::new(RefusalKind::Internal, text).into()
}

fn busy() -> Error {
    let text = format!("not all of the family stopped within {} s: try again later", LIMIT.as_secs());
    Refusal::new(RefusalKind::Busy, text).into()
}

fn nap() {
    let _ = poll(&mut [], Some(&Timespec { tv_sec: 0, tv_nsec: 200_000 }));
}
