//! The registry of sections: the only list of them. Adding one is its module and a line here (spec/13-evolution.md).

/// Calls the macro `$callback` with the table of all sections.
///
/// Columns: module, type, kind, version, profile (a variant of [`Profile`](crate::Profile)), scope (a variant of
/// [`Scope`](crate::section::Scope): what the owner is), flags (a constant of [`ChunkFlags`](crate::chunk::ChunkFlags)).
/// The callback matches
/// `$($module:ident $type:ident $kind:literal $version:literal $profile:ident $scope:ident $flags:ident;)*`.
#[macro_export]
macro_rules! for_each_section {
    ($callback:ident) => {
        $callback! {
            cpu         Cpu         b"CPU " 1 Frore  Image           CRITICAL;
            objects     Objects     b"OBJS" 2 Frore  Image           CRITICAL;
            mm          Mm          b"MM  " 2 Frore  Process         CRITICAL;
            vmas        Vmas        b"VMAS" 1 Frore  Process         CRITICAL;
            guards      Guards      b"GARD" 1 Frore  Process         CRITICAL;
            mempolicy   Mbind       b"MBND" 1 Frore  Process         CRITICAL;
            attributes  Attributes  b"ATTR" 1 Frore  Image           CRITICAL;

            family      Family      b"FMLY" 1 Frost  Image           CRITICAL;
            process     Process     b"PROC" 2 Frost  Process         CRITICAL;
            thread      Thread      b"THRD" 2 Frost  Thread          CRITICAL;
            fs          Fs          b"FS  " 1 Frost  Thread          CRITICAL;
            actions     Actions     b"SIGA" 1 Frost  Process         CRITICAL;
            pending     Pending     b"SIGP" 1 Frost  ProcessOrThread CRITICAL;
            ldt         Ldt         b"LDT " 1 Frost  Process         CRITICAL;
            aio         Aio         b"AIO " 1 Frost  Process         CRITICAL;
            limits      Limits      b"LIMT" 1 Frost  Process         CRITICAL;
            clocks      Clocks      b"CLKS" 1 Frost  Process         CRITICAL;
            itimers     Itimers     b"ITIM" 1 Frost  Process         CRITICAL;
            ptimers     Ptimers     b"PTIM" 1 Frost  Process         CRITICAL;
            credentials Credentials b"CRED" 1 Frost  ProcessOrThread CRITICAL;
            seccomp     Seccomp     b"SECC" 1 Frost  ProcessOrThread CRITICAL;
            scheduling  Scheduling  b"SCHD" 1 Frost  ProcessOrThread CRITICAL;
            mempolicy   Mempolicy   b"MPOL" 1 Frost  Thread          CRITICAL;
            semundo     SemUndo     b"SEMU" 1 Frost  Process         CRITICAL;
            descriptors Descriptors b"FDTB" 1 Frost  Process         CRITICAL;
            descriptors ThreadDescriptors b"FDTT" 1 Frost Thread     CRITICAL;
            files       OpenFile    b"FILE" 1 Frost  Description     CRITICAL;
            removed     Removed     b"RMVD" 1 Frost  Description     CRITICAL;
            outside     Outside     b"OUTS" 1 Frost  Description     CRITICAL;
            unread      Unread      b"UNRD" 1 Frost  Description     CRITICAL;
            pipes       Pipe        b"PIPE" 2 Frost  Description     CRITICAL;
            pipes       PipeEnd     b"PEND" 1 Frost  Description     CRITICAL;
            inet        Inet        b"INET" 1 Frost  Description     CRITICAL;
            netlink     Netlink     b"NTLK" 1 Frost  Description     CRITICAL;
            raw         RawSocket   b"RAWS" 1 Frost  Description     CRITICAL;
            packet      PacketSocket b"PCKT" 1 Frost Description     CRITICAL;
            unix        Unix        b"UNIX" 1 Frost  Description     CRITICAL;
            ancillary   Ancillary   b"ANCL" 1 Frost  Description     CRITICAL;
            peers       Peer        b"PEER" 1 Frost  Description     SAFE_TO_COPY;
            eventfd     Eventfd     b"EVFD" 1 Frost  Description     CRITICAL;
            signalfd    Signalfd    b"SGFD" 1 Frost  Description     CRITICAL;
            timerfd     Timerfd     b"TMFD" 1 Frost  Description     CRITICAL;
            pidfd       Pidfd       b"PIDF" 1 Frost  Description     CRITICAL;
            pidfd       DeadPidfd   b"PIDD" 1 Frost  Description     CRITICAL;
            epoll       Epoll       b"EPOL" 2 Frost  Description     CRITICAL;
            inotify     Inotify     b"INOT" 1 Frost  Description     CRITICAL;
            fanotify    Fanotify    b"FANO" 1 Frost  Description     CRITICAL;
            mqueues     Mqueue      b"MQUE" 1 Frost  Description     CRITICAL;
            locks       Locks       b"LOCK" 2 Frost  Description     CRITICAL;
            owners      Owner       b"OWNR" 1 Frost  Description     CRITICAL;
            ptys        Pty         b"PTTY" 1 Frost  Description     CRITICAL;
            ptys        PtyEnd      b"PTYE" 1 Frost  Description     CRITICAL;
            sessions    Sessions    b"SESS" 1 Frost  Image           CRITICAL;
            sessions    DevTty      b"CTTY" 1 Frost  Description     CRITICAL;
            terminal    Terminal    b"TERM" 1 Frost  Process         CRITICAL;
            history     History     b"HIST" 1 Frost  Process         SAFE_TO_COPY;
            notes       Notes       b"NOTE" 1 Frost  Image           SAFE_TO_COPY;
            origin      Origin      b"ORIG" 1 Frost  Image           SAFE_TO_COPY;

            link        Link        b"LINK" 1 Freeze Image           CRITICAL;
            regs        RegsX86_64  b"RX64" 1 Freeze Thread          CRITICAL;
            regs        RegsI386    b"RI32" 1 Freeze Thread          CRITICAL;
            xstate      Xstate      b"XSTA" 1 Freeze Thread          CRITICAL;
            tls         Tls         b"TLSE" 1 Freeze Thread          CRITICAL;
            syscall     Syscall     b"SYSC" 1 Freeze Thread          CRITICAL;
            syscall     SyscallI386 b"SI32" 1 Freeze Thread          CRITICAL;
            forked      Forked      b"FORK" 1 Freeze Process         CRITICAL;
            parent      ParentSet   b"PRNT" 1 Freeze Image           CRITICAL;
            extents     Extents     b"EXTS" 1 Freeze Memory          CRITICAL;
            touched     Touched     b"TCHD" 1 Freeze Process         SAFE_TO_COPY;
        }
    };
}

/// Calls the macro `$callback` with the table of the versions of before: those that a later release replaced, and that every release reads.
///
/// Columns: variant of [`OldSection`](crate::section::OldSection), folder, and then the line of [`for_each_section!`] as it was; behind the
/// arrow the type that came next, for which there is a `From`. A line is never changed, but for what is behind its arrow.
/// The callback matches `$($variant:ident $folder:ident $module:ident $type:ident $kind:literal $version:literal $profile:ident
/// $scope:ident $flags:ident => $($next:ident)::+;)*`.
#[macro_export]
macro_rules! for_each_old_section {
    ($callback:ident) => {
        $callback! {
            ObjectsV1 v1 objects Objects b"OBJS" 1 Frore Image       CRITICAL => objects::Objects;
            MmV1      v1 mm      Mm      b"MM  " 1 Frore Process     CRITICAL => mm::Mm;
            ProcessV1 v1 process Process b"PROC" 1 Frost Process     CRITICAL => process::Process;
            ThreadV1  v1 thread  Thread  b"THRD" 1 Frost Thread      CRITICAL => thread::Thread;
            PipeV1    v1 pipes   Pipe    b"PIPE" 1 Frost Description CRITICAL => pipes::Pipe;
            LocksV1   v1 locks   Locks   b"LOCK" 1 Frost Description CRITICAL => locks::Locks;
            EpollV1   v1 epoll   Epoll   b"EPOL" 1 Frost Description CRITICAL => epoll::Epoll;
        }
    };
}
