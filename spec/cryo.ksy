# The format, executable: an independent second reader of .freeze, .frore and .frost (spec/README.md is its text).
#
# Compile it with any Kaitai Struct compiler. spec/ksy/check.py adds what Kaitai cannot say (checksums, the root, sorted lists) and compares
# every field with what cryo-inspect prints. A section that this file does not know stays bytes.
meta:
  id: cryo
  title: Cryo image of a frozen Linux process, version 1
  file-extension:
    - freeze
    - frore
    - frost
  license: MIT OR Apache-2.0
  ks-version: '0.11'
  endian: le
doc: |
  A header, chunks up to and including END, and a footer. See spec/02-overview.md.
seq:
  - id: header
    type: header
    size: 64
  - id: chunks
    type: chunk
    repeat: until
    repeat-until: _.kind == "END "
  - id: footer
    type: footer
    size: 32
enums:
  profile:
    1: freeze
    2: frore
    3: frost
types:
  # Primitives (03-primitives.md). `addr` is a u8 here; spec/json.md says which fields print as hex.
  bytes:
    seq:
      - id: num
        type: u8
      - id: data
        size: num
  blob:
    seq:
      - id: num
        type: u8
      - id: data
        size: num

  # Container (04-header.md, 05-chunks.md, 12-streaming.md).
  header:
    seq:
      - id: magic
        contents: [0xc7, CRYO, 0x0d, 0x0a, 0x1a, 0x0a]
      - id: profile
        type: u1
        enum: profile
        valid:
          in-enum: true
      - id: machine
        type: u2
        valid:
          any-of: [3, 62]
      - id: major
        type: u2
        valid: 1
      - id: minor
        type: u2
      - id: incompat
        type: u8
        valid: 0
      - id: compat
        type: u8
      - id: set
        size: 16
      - id: page_shift
        type: u1
        valid:
          min: 12
          max: 16
      - id: reserved
        contents: [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
      - id: crc
        type: u4
  chunk:
    seq:
      - id: kind
        type: str
        size: 4
        encoding: ISO-8859-1
      - id: version
        type: u2
      - id: flags
        type: u2
        valid:
          # 1 CRITICAL, 2 SAFE_TO_COPY; bits 8 to 11 are the codec: 0 stored, 1 zstd.
          expr: (_ & 0xfefc) == 0
      - id: owner
        type: u8
      - id: stored
        type: u8
        valid:
          max: 'kind == "DATA" ? 1048576 : 16777216'
      - id: raw
        type: u8
        valid:
          expr: '(flags & 0x100) == 0 ? _ == stored : (kind == "DATA" and _ > stored and _ <= 1048576)'
      - id: crc
        type: u4
      - id: reserved
        type: u8
        valid: 0
      - id: header_crc
        type: u4
      - id: payload
        size: stored
        type:
          switch-on: 'kind + version.to_s'
          cases:
            '"CPU 1"': cpu
            '"OBJS1"': objects_v1
            '"OBJS2"': objects
            '"MM  1"': mm_v1
            '"MM  2"': mm
            '"VMAS1"': vmas
            '"GARD1"': guards
            '"MBND1"': mbind
            '"ATTR1"': attributes
            '"FMLY1"': family
            '"PROC1"': process_v1
            '"PROC2"': process
            '"THRD1"': thread_v1
            '"THRD2"': thread
            '"FS  1"': fs
            '"SIGA1"': actions
            '"SIGP1"': pending
            '"LDT 1"': ldt
            '"AIO 1"': aio
            '"LIMT1"': limits
            '"CLKS1"': clocks
            '"ITIM1"': itimers
            '"PTIM1"': ptimers
            '"CRED1"': credentials
            '"SECC1"': seccomp
            '"SCHD1"': scheduling
            '"FDTB1"': descriptors
            '"FDTT1"': thread_descriptors
            '"FILE1"': open_file
            '"OUTS1"': outside
            '"PIPE1"': pipe_v1
            '"PIPE2"': pipe
            '"PEND1"': pipe_end
            '"EVFD1"': eventfd
            '"SGFD1"': signalfd
            '"TMFD1"': timerfd
            '"PIDF1"': pidfd
            '"PIDD1"': dead_pidfd
            '"EPOL1"': epoll_v1
            '"EPOL2"': epoll
            '"INOT1"': inotify
            '"FANO1"': fanotify
            '"UNIX1"': unix
            '"ANCL1"': ancillary
            '"PEER1"': peer
            '"MQUE1"': mqueue
            '"RMVD1"': removed
            '"MPOL1"': mempolicy
            '"SEMU1"': sem_undo
            '"UNRD1"': unread
            '"LOCK1"': locks_v1
            '"LOCK2"': locks
            '"OWNR1"': owner
            '"NTLK1"': netlink
            '"RAWS1"': raw_socket
            '"PCKT1"': packet_socket
            '"PTTY1"': pty
            '"PTYE1"': pty_end
            '"SESS1"': sessions
            '"CTTY1"': dev_tty
            '"TERM1"': terminal
            '"INET1"': inet
            '"HIST1"': history
            '"NOTE1"': notes
            '"ORIG1"': origin
            '"LINK1"': link
            '"RX641"': regs_x86_64
            '"RI321"': regs_i386
            '"XSTA1"': xstate
            '"TLSE1"': tls
            '"SYSC1"': syscall
            '"SI321"': syscall_i386
            '"FORK1"': forked
            '"PRNT1"': parent_set
            '"TCHD1"': touched
            '"EXTS1"': extents
            '"INDX1"': index
            '"END 1"': end
      - id: padding
        size: (8 - stored % 8) % 8
  index:
    seq:
      - id: previous
        type: u8
      - id: num_entries
        type: u8
      - id: entries
        type: index_entry
        repeat: expr
        repeat-expr: num_entries
  index_entry:
    seq:
      - id: kind
        type: str
        size: 4
        encoding: ISO-8859-1
      - id: version
        type: u2
      - id: flags
        type: u2
      - id: owner
        type: u8
      - id: offset
        type: u8
      - id: stored
        type: u8
      - id: raw
        type: u8
      - id: crc
        type: u4
      - id: reserved
        type: u4
        valid: 0
  end:
    seq:
      - id: root
        size: 32
      - id: chunks
        type: u8
  footer:
    seq:
      - id: magic
        contents: [0xc7, CRYOEND]
      - id: index
        type: u8
      - id: end
        type: u8
      - id: reserved
        type: u4
        valid: 0
      - id: crc
        type: u4

  # Sections (spec/sections/), in the order of the registry.
  cpu:
    seq:
      - id: brand
        type: bytes
      - id: xcr0
        type: u8
      - id: in_use
        type: u8
      - id: num_features
        type: u8
      - id: features
        type: bytes
        repeat: expr
        repeat-expr: num_features
  objects:
    seq:
      - id: num_objects
        type: u8
      - id: objects
        type: object
        repeat: expr
        repeat-expr: num_objects
  object:
    seq:
      - id: id
        type: u8
        valid:
          min: 1
      - id: kind
        type: u4
        doc: 0 file, 1 deleted file, 2 shared anonymous memory, 3 memfd, 4 SysV shared memory, 5 vDSO
      - id: embedded
        type: u4
        valid:
          max: 1
      - id: path
        type: bytes
      - id: dev
        type: u8
      - id: ino
        type: u8
      - id: mode
        type: u4
      - id: seals
        type: u4
      - id: size
        type: u8
      - id: mtime_sec
        type: s8
      - id: mtime_nsec
        type: u8
      - id: build_id
        type: blob
      - id: digest
        size: 32
      - id: shm
        type: u8
      - id: huge_page
        type: u8
  objects_v1:
    seq:
      - id: num_objects
        type: u8
      - id: objects
        type: object_v1
        repeat: expr
        repeat-expr: num_objects
  object_v1:
    seq:
      - id: id
        type: u8
        valid:
          min: 1
      - id: kind
        type: u4
        doc: 0 file, 1 deleted file, 2 shared anonymous memory, 3 memfd, 4 SysV shared memory, 5 vDSO
      - id: embedded
        type: u4
        valid:
          max: 1
      - id: path
        type: bytes
      - id: dev
        type: u8
      - id: ino
        type: u8
      - id: mode
        type: u4
      - id: seals
        type: u4
      - id: size
        type: u8
      - id: mtime_sec
        type: s8
      - id: mtime_nsec
        type: u8
      - id: build_id
        type: blob
      - id: digest
        size: 32
      - id: shm
        type: u8
  mm:
    seq:
      - id: start_code
        type: u8
      - id: end_code
        type: u8
      - id: start_data
        type: u8
      - id: end_data
        type: u8
      - id: start_brk
        type: u8
      - id: brk
        type: u8
      - id: start_stack
        type: u8
      - id: arg_start
        type: u8
      - id: arg_end
        type: u8
      - id: env_start
        type: u8
      - id: env_end
        type: u8
      - id: exe
        type: u8
      - id: thp_disable
        type: u4
      - id: mlock_future
        type: u4
      - id: memory_merge
        type: u4
      - id: reserved
        type: u4
        valid: 0
      - id: num_auxv
        type: u8
      - id: auxv
        type: u8
        repeat: expr
        repeat-expr: num_auxv
      - id: membarrier
        type: u8
      - id: coredump_filter
        type: u8
  mm_v1:
    seq:
      - id: start_code
        type: u8
      - id: end_code
        type: u8
      - id: start_data
        type: u8
      - id: end_data
        type: u8
      - id: start_brk
        type: u8
      - id: brk
        type: u8
      - id: start_stack
        type: u8
      - id: arg_start
        type: u8
      - id: arg_end
        type: u8
      - id: env_start
        type: u8
      - id: env_end
        type: u8
      - id: exe
        type: u8
      - id: thp_disable
        type: u4
      - id: mlock_future
        type: u4
      - id: memory_merge
        type: u4
      - id: reserved
        type: u4
        valid: 0
      - id: num_auxv
        type: u8
      - id: auxv
        type: u8
        repeat: expr
        repeat-expr: num_auxv
  vmas:
    seq:
      - id: num_vmas
        type: u8
      - id: vmas
        type: vma
        repeat: expr
        repeat-expr: num_vmas
  vma:
    seq:
      - id: start
        type: u8
      - id: end
        type: u8
        valid:
          expr: _ > start
      - id: prot
        type: u4
      - id: backing
        type: u4
        doc: 0 anonymous, 1 private mapping of a file, 2 shared mapping, 3 special mapping of the kernel
      - id: flags
        type: u8
      - id: object
        type: u8
      - id: offset
        type: u8
      - id: name
        type: bytes
  process:
    seq:
      - id: pid
        type: u8
      - id: ppid
        type: u8
      - id: pgid
        type: u8
      - id: sid
        type: u8
      - id: exit_signal
        type: u8
      - id: personality
        type: u8
      - id: umask
        type: u4
      - id: flags
        type: u4
      - id: parent_death_signal
        type: u4
      - id: stopped_by
        type: u4
      - id: uid
        type: u4
        repeat: expr
        repeat-expr: 4
      - id: gid
        type: u4
        repeat: expr
        repeat-expr: 4
      - id: exe
        type: bytes
      - id: cwd
        type: bytes
      - id: root
        type: bytes
      - id: cmdline
        type: bytes
      - id: oom_score_adj
        type: u8
      - id: cwd_dev
        type: u8
      - id: cwd_ino
        type: u8
      - id: root_dev
        type: u8
      - id: root_ino
        type: u8
  process_v1:
    seq:
      - id: pid
        type: u8
      - id: ppid
        type: u8
      - id: pgid
        type: u8
      - id: sid
        type: u8
      - id: exit_signal
        type: u8
      - id: personality
        type: u8
      - id: umask
        type: u4
      - id: flags
        type: u4
      - id: parent_death_signal
        type: u4
      - id: stopped_by
        type: u4
      - id: uid
        type: u4
        repeat: expr
        repeat-expr: 4
      - id: gid
        type: u4
        repeat: expr
        repeat-expr: 4
      - id: exe
        type: bytes
      - id: cwd
        type: bytes
      - id: root
        type: bytes
      - id: cmdline
        type: bytes
      - id: oom_score_adj
        type: u8
  thread:
    seq:
      - id: process
        type: u8
        valid:
          min: 1
      - id: tid
        type: u8
      - id: comm
        type: bytes
      - id: sigmask
        type: u8
      - id: altstack_sp
        type: u8
      - id: altstack_size
        type: u8
      - id: altstack_flags
        type: u8
      - id: clear_child_tid
        type: u8
      - id: robust_list
        type: u8
      - id: robust_list_len
        type: u8
      - id: rseq
        type: u8
      - id: rseq_size
        type: u4
      - id: rseq_signature
        type: u4
      - id: exited
        type: u4
        valid:
          max: 1
      - id: exit_code
        type: u4
      - id: dispatch_mode
        type: u8
      - id: dispatch_selector
        type: u8
      - id: dispatch_offset
        type: u8
      - id: dispatch_len
        type: u8
  thread_v1:
    seq:
      - id: process
        type: u8
        valid:
          min: 1
      - id: tid
        type: u8
      - id: comm
        type: bytes
      - id: sigmask
        type: u8
      - id: altstack_sp
        type: u8
      - id: altstack_size
        type: u8
      - id: altstack_flags
        type: u8
      - id: clear_child_tid
        type: u8
      - id: robust_list
        type: u8
      - id: robust_list_len
        type: u8
      - id: rseq
        type: u8
      - id: rseq_size
        type: u4
      - id: rseq_signature
        type: u4
      - id: exited
        type: u4
        valid:
          max: 1
      - id: exit_code
        type: u4
  actions:
    seq:
      - id: num_actions
        type: u8
      - id: actions
        type: action
        repeat: expr
        repeat-expr: num_actions
  action:
    seq:
      - id: signal
        type: u4
        valid:
          min: 1
          max: 64
      - id: reserved
        type: u4
        valid: 0
      - id: handler
        type: u8
      - id: flags
        type: u8
      - id: restorer
        type: u8
      - id: mask
        type: u8
  pending:
    seq:
      - id: num_signals
        type: u8
      - id: signals
        type: siginfo
        repeat: expr
        repeat-expr: num_signals
  siginfo:
    seq:
      - id: num
        type: u8
        valid: 128
      - id: data
        size: num
  ldt:
    seq:
      - id: num_entries
        type: u8
      - id: entries
        type: ldt_entry
        repeat: expr
        repeat-expr: num_entries
  ldt_entry:
    seq:
      - id: entry
        type: u4
      - id: base
        type: u4
      - id: limit
        type: u4
      - id: flags
        type: u4
        valid:
          max: 127
  limits:
    seq:
      - id: num_limits
        type: u8
      - id: limits
        type: limit
        repeat: expr
        repeat-expr: num_limits
  limit:
    seq:
      - id: resource
        type: u4
      - id: reserved
        type: u4
        valid: 0
      - id: soft
        type: u8
      - id: hard
        type: u8
  family:
    seq:
      - id: root
        type: u8
      - id: num_zombies
        type: u8
      - id: zombies
        type: zombie
        repeat: expr
        repeat-expr: num_zombies
      - id: num_common
        type: u8
      - id: common
        type: common
        repeat: expr
        repeat-expr: num_common
  zombie:
    seq:
      - id: pid
        type: u8
      - id: ppid
        type: u8
      - id: pgid
        type: u8
      - id: sid
        type: u8
      - id: exit_signal
        type: u4
      - id: status
        type: u4
      - id: name
        type: bytes
  common:
    seq:
      - id: process
        type: u8
      - id: other
        type: u8
      - id: flags
        type: u4
      - id: reserved
        type: u4
        valid: 0
  parent_set:
    seq:
      - id: set
        size: 16
      - id: root
        size: 32
      - id: depth
        type: u4
        valid:
          min: 1
          max: 64
      - id: reserved
        type: u4
        valid: 0
      - id: name
        type: bytes
      - id: num_owners
        type: u8
      - id: owners
        type: heir
        repeat: expr
        repeat-expr: num_owners
  heir:
    seq:
      - id: owner
        type: u8
      - id: parent
        type: u8
  forked:
    seq:
      - id: parent
        type: u8
      - id: num_ranges
        type: u8
      - id: ranges
        type: guard
        repeat: expr
        repeat-expr: num_ranges
  touched:
    seq:
      - id: num_ranges
        type: u8
      - id: ranges
        type: guard
        repeat: expr
        repeat-expr: num_ranges
  guards:
    seq:
      - id: num_guards
        type: u8
      - id: guards
        type: guard
        repeat: expr
        repeat-expr: num_guards
  guard:
    seq:
      - id: start
        type: u8
      - id: end
        type: u8
  aio:
    seq:
      - id: num_contexts
        type: u8
      - id: contexts
        type: aio_context
        repeat: expr
        repeat-expr: num_contexts
  aio_context:
    seq:
      - id: address
        type: u8
      - id: size
        type: u8
        valid:
          min: 4096
      - id: num_events
        type: u8
      - id: events
        type: aio_event
        repeat: expr
        repeat-expr: num_events
  aio_event:
    seq:
      - id: data
        type: u8
      - id: obj
        type: u8
      - id: res
        type: s8
      - id: res2
        type: s8
  fs:
    seq:
      - id: shared_with
        type: u8
      - id: umask
        type: u4
      - id: reserved
        type: u4
        valid: 0
      - id: cwd
        type: bytes
      - id: cwd_dev
        type: u8
      - id: cwd_ino
        type: u8
      - id: root
        type: bytes
      - id: root_dev
        type: u8
      - id: root_ino
        type: u8
  mempolicy:
    seq:
      - id: mode
        type: u4
      - id: flags
        type: u4
      - id: nodes
        type: blob
  mbind:
    seq:
      - id: num_ranges
        type: u8
      - id: ranges
        type: bound_range
        repeat: expr
        repeat-expr: num_ranges
  bound_range:
    seq:
      - id: start
        type: u8
      - id: end
        type: u8
      - id: mode
        type: u4
      - id: flags
        type: u4
      - id: nodes
        type: blob
  clocks:
    seq:
      - id: monotonic_ns
        type: u8
      - id: boottime_ns
        type: u8
  itimers:
    seq:
      - id: num_timers
        type: u8
      - id: timers
        type: itimer
        repeat: expr
        repeat-expr: num_timers
  itimer:
    seq:
      - id: which
        type: u4
        valid:
          max: 2
      - id: reserved
        type: u4
        valid: 0
      - id: interval_us
        type: u8
      - id: value_us
        type: u8
  ptimers:
    seq:
      - id: num_timers
        type: u8
      - id: timers
        type: ptimer
        repeat: expr
        repeat-expr: num_timers
  ptimer:
    seq:
      - id: id
        type: u4
      - id: clock
        type: s4
      - id: clock_thread
        type: u8
      - id: notify
        type: u4
        valid:
          any-of: [0, 1, 2, 4]
        doc: 0 signal, 1 none, 2 thread (of the C library), 4 signal to one thread
      - id: signal
        type: u4
        valid:
          max: 64
      - id: value
        type: u8
      - id: thread
        type: u8
      - id: overrun
        type: u8
      - id: interval_ns
        type: u8
      - id: value_ns
        type: u8
  credentials:
    seq:
      - id: uid
        type: u4
        repeat: expr
        repeat-expr: 4
      - id: gid
        type: u4
        repeat: expr
        repeat-expr: 4
      - id: num_groups
        type: u8
      - id: groups
        type: u4
        repeat: expr
        repeat-expr: num_groups
      - id: inheritable
        type: u8
      - id: permitted
        type: u8
      - id: effective
        type: u8
      - id: bounding
        type: u8
      - id: ambient
        type: u8
      - id: securebits
        type: u4
      - id: no_new_privs
        type: u4
        valid:
          max: 1
      - id: parent_death_signal
        type: u4
        valid:
          max: 64
      - id: reserved
        type: u4
        valid: 0
  seccomp:
    seq:
      - id: mode
        type: u4
        valid:
          max: 2
        doc: 0 disabled, 1 strict, 2 filter
      - id: reserved
        type: u4
        valid: 0
      - id: num_filters
        type: u8
      - id: filters
        type: seccomp_filter
        repeat: expr
        repeat-expr: num_filters
  seccomp_filter:
    seq:
      - id: flags
        type: u4
      - id: reserved
        type: u4
        valid: 0
      - id: num_program
        type: u8
      - id: program
        type: seccomp_instruction
        repeat: expr
        repeat-expr: num_program
  seccomp_instruction:
    seq:
      - id: code
        type: u2
      - id: jt
        type: u1
      - id: jf
        type: u1
      - id: k
        type: u4
  scheduling:
    seq:
      - id: policy
        type: u4
      - id: nice
        type: s4
      - id: priority
        type: u4
      - id: ioprio
        type: u4
      - id: flags
        type: u8
      - id: runtime_ns
        type: u8
      - id: deadline_ns
        type: u8
      - id: period_ns
        type: u8
      - id: util_min
        type: u4
      - id: util_max
        type: u4
      - id: timer_slack_ns
        type: u8
      - id: affinity
        type: blob
  descriptors:
    seq:
      - id: num_descriptors
        type: u8
      - id: descriptors
        type: descriptor
        repeat: expr
        repeat-expr: num_descriptors
  thread_descriptors:
    seq:
      - id: shared_with
        type: u8
      - id: num_descriptors
        type: u8
      - id: descriptors
        type: descriptor
        repeat: expr
        repeat-expr: num_descriptors
  descriptor:
    seq:
      - id: fd
        type: u4
      - id: flags
        type: u4
      - id: description
        type: u8
        valid:
          min: 1
  open_file:
    seq:
      - id: path
        type: bytes
      - id: open_flags
        type: u8
      - id: offset
        type: u8
      - id: dev
        type: u8
      - id: ino
        type: u8
      - id: rdev
        type: u8
      - id: mode
        type: u4
      - id: reserved
        type: u4
        valid: 0
      - id: size
        type: u8
      - id: mtime_sec
        type: s8
      - id: mtime_nsec
        type: u8
      - id: object
        type: u8
  outside:
    seq:
      - id: what
        type: bytes
      - id: open_flags
        type: u8
      - id: policy
        type: u4
        doc: 0 inherit, 1 /dev/null, 2 the file in `path`, 3 the thawer's terminal
      - id: inherit
        type: u4
      - id: path
        type: bytes
  pipe:
    seq:
      - id: capacity
        type: u4
      - id: packets
        type: u4
        valid:
          max: 1
      - id: path
        type: bytes
      - id: num_content
        type: u8
      - id: content
        type: blob
        repeat: expr
        repeat-expr: num_content
      - id: dev
        type: u8
      - id: ino
        type: u8
  pipe_v1:
    seq:
      - id: capacity
        type: u4
      - id: packets
        type: u4
        valid:
          max: 1
      - id: path
        type: bytes
      - id: num_content
        type: u8
      - id: content
        type: blob
        repeat: expr
        repeat-expr: num_content
  pipe_end:
    seq:
      - id: pipe
        type: u8
      - id: open_flags
        type: u8
  eventfd:
    seq:
      - id: open_flags
        type: u8
      - id: count
        type: u8
      - id: semaphore
        type: u4
      - id: reserved
        type: u4
        valid: 0
  signalfd:
    seq:
      - id: open_flags
        type: u8
      - id: mask
        type: u8
  timerfd:
    seq:
      - id: open_flags
        type: u8
      - id: clock
        type: u4
      - id: settime_flags
        type: u4
      - id: ticks
        type: u8
      - id: value_ns
        type: u8
      - id: interval_ns
        type: u8
  pidfd:
    seq:
      - id: open_flags
        type: u8
      - id: process
        type: u8
  dead_pidfd:
    seq:
      - id: open_flags
        type: u8
      - id: pid
        type: u8
  ancillary:
    seq:
      - id: num_messages
        type: u8
      - id: messages
        type: ancillary_message
        repeat: expr
        repeat-expr: num_messages
  ancillary_message:
    seq:
      - id: at
        type: u8
      - id: len
        type: u8
      - id: pid
        type: u8
      - id: uid
        type: u4
      - id: gid
        type: u4
      - id: num_descriptions
        type: u8
      - id: descriptions
        type: u8
        repeat: expr
        repeat-expr: num_descriptions
  peer:
    seq:
      - id: pid
        type: u8
      - id: uid
        type: u4
      - id: gid
        type: u4
  epoll:
    seq:
      - id: open_flags
        type: u8
      - id: num_watches
        type: u8
      - id: watches
        type: watch
        repeat: expr
        repeat-expr: num_watches
  watch:
    seq:
      - id: fd
        type: u4
      - id: through
        type: u4
      - id: events
        type: u4
      - id: state
        type: u4
      - id: data
        type: u8
      - id: description
        type: u8
  epoll_v1:
    seq:
      - id: open_flags
        type: u8
      - id: num_watches
        type: u8
      - id: watches
        type: watch_v1
        repeat: expr
        repeat-expr: num_watches
  watch_v1:
    seq:
      - id: fd
        type: u4
      - id: through
        type: u4
      - id: events
        type: u4
      - id: state
        type: u4
      - id: data
        type: u8
  inotify:
    seq:
      - id: open_flags
        type: u8
      - id: num_watches
        type: u8
      - id: watches
        type: inotify_watch
        repeat: expr
        repeat-expr: num_watches
  inotify_watch:
    seq:
      - id: wd
        type: u4
      - id: mask
        type: u4
      - id: path
        type: bytes
      - id: ino
        type: u8
  fanotify:
    seq:
      - id: open_flags
        type: u8
      - id: init_flags
        type: u4
      - id: event_flags
        type: u4
      - id: num_marks
        type: u8
      - id: marks
        type: fanotify_mark
        repeat: expr
        repeat-expr: num_marks
  fanotify_mark:
    seq:
      - id: kind
        type: u4
      - id: flags
        type: u4
      - id: mask
        type: u8
      - id: ignored
        type: u8
      - id: path
        type: bytes
  unix:
    seq:
      - id: kind
        type: u4
      - id: state
        type: u4
      - id: open_flags
        type: u8
      - id: name
        type: bytes
      - id: directory
        type: bytes
      - id: mode
        type: u4
      - id: uid
        type: u4
      - id: gid
        type: u4
      - id: shutdown
        type: u4
      - id: backlog
        type: u4
      - id: place
        type: u4
      - id: error
        type: u4
      - id: reserved
        type: u4
        valid: 0
      - id: peer
        type: u8
      - id: num_options
        type: u8
      - id: options
        type: socket_option
        repeat: expr
        repeat-expr: num_options
      - id: filter
        type: blob
      - id: num_queue
        type: u8
      - id: queue
        type: unix_message
        repeat: expr
        repeat-expr: num_queue
  unix_message:
    seq:
      - id: sender
        type: bytes
      - id: data
        type: blob
  locks:
    seq:
      - id: lease
        type: u4
      - id: reserved
        type: u4
        valid: 0
      - id: num_locks
        type: u8
      - id: locks
        type: lock
        repeat: expr
        repeat-expr: num_locks
  lock:
    seq:
      - id: kind
        type: u4
      - id: write
        type: u4
      - id: start
        type: u8
      - id: end
        type: u8
      - id: process
        type: u8
  locks_v1:
    seq:
      - id: lease
        type: u4
      - id: reserved
        type: u4
        valid: 0
      - id: num_locks
        type: u8
      - id: locks
        type: lock_v1
        repeat: expr
        repeat-expr: num_locks
  lock_v1:
    seq:
      - id: kind
        type: u4
      - id: write
        type: u4
      - id: start
        type: u8
      - id: end
        type: u8
  owner:
    seq:
      - id: kind
        type: u4
      - id: signal
        type: u4
      - id: owner
        type: u8
      - id: asynchronous
        type: u4
      - id: reserved
        type: u4
        valid: 0
  raw_socket:
    seq:
      - id: family
        type: u4
      - id: protocol
        type: u4
      - id: open_flags
        type: u8
      - id: local
        type: inet_address
      - id: remote
        type: inet_address
      - id: connected
        type: u4
      - id: shutdown
        type: u4
      - id: num_options
        type: u8
      - id: options
        type: socket_option
        repeat: expr
        repeat-expr: num_options
      - id: filter
        type: blob
      - id: num_groups
        type: u8
      - id: groups
        type: membership
        repeat: expr
        repeat-expr: num_groups
  packet_socket:
    seq:
      - id: kind
        type: u4
      - id: protocol
        type: u4
      - id: open_flags
        type: u8
      - id: interface
        type: u4
      - id: in_fanout
        type: u4
      - id: fanout
        type: u4
      - id: reserved
        type: u4
        valid: 0
      - id: interface_name
        type: bytes
      - id: num_options
        type: u8
      - id: options
        type: socket_option
        repeat: expr
        repeat-expr: num_options
      - id: filter
        type: blob
      - id: num_memberships
        type: u8
      - id: memberships
        type: packet_membership
        repeat: expr
        repeat-expr: num_memberships
  packet_membership:
    seq:
      - id: interface
        type: u4
      - id: kind
        type: u4
      - id: count
        type: u4
      - id: reserved
        type: u4
        valid: 0
      - id: interface_name
        type: bytes
      - id: address
        type: blob
  netlink:
    seq:
      - id: kind
        type: u4
      - id: protocol
        type: u4
      - id: open_flags
        type: u8
      - id: port
        type: u4
      - id: remote_port
        type: u4
      - id: remote_groups
        type: u4
      - id: reserved
        type: u4
        valid: 0
      - id: num_groups
        type: u8
      - id: groups
        type: u4
        repeat: expr
        repeat-expr: num_groups
      - id: num_options
        type: u8
      - id: options
        type: socket_option
        repeat: expr
        repeat-expr: num_options
      - id: filter
        type: blob
  pty:
    seq:
      - id: number
        type: u4
      - id: flags
        type: u4
      - id: iflag
        type: u8
      - id: oflag
        type: u8
      - id: cflag
        type: u8
      - id: lflag
        type: u8
      - id: line
        type: u4
      - id: ispeed
        type: u4
      - id: ospeed
        type: u4
      - id: rows
        type: u4
      - id: columns
        type: u4
      - id: xpixel
        type: u4
      - id: ypixel
        type: u4
      - id: controls
        type: blob
  pty_end:
    seq:
      - id: pty
        type: u8
      - id: open_flags
        type: u8
      - id: master
        type: u4
      - id: exclusive
        type: u4
        valid:
          max: 'master == 0 ? 1 : 0'
  sessions:
    seq:
      - id: num_sessions
        type: u8
      - id: sessions
        type: session
        repeat: expr
        repeat-expr: num_sessions
  session:
    seq:
      - id: sid
        type: u8
      - id: pty
        type: u8
      - id: foreground
        type: u8
  dev_tty:
    seq:
      - id: pty
        type: u8
      - id: open_flags
        type: u8
  terminal:
    seq:
      - id: foreground
        type: u4
      - id: reserved
        type: u4
        valid: 0
      - id: iflag
        type: u8
      - id: oflag
        type: u8
      - id: cflag
        type: u8
      - id: lflag
        type: u8
      - id: line
        type: u4
      - id: ispeed
        type: u4
      - id: ospeed
        type: u4
      - id: rows
        type: u4
      - id: columns
        type: u4
      - id: xpixel
        type: u4
      - id: ypixel
        type: u4
      - id: controls
        type: blob
  inet:
    seq:
      - id: family
        type: u4
      - id: kind
        type: u4
      - id: protocol
        type: u4
      - id: state
        type: u4
      - id: open_flags
        type: u8
      - id: local
        type: inet_address
      - id: remote
        type: inet_address
      - id: shutdown
        type: u4
      - id: backlog
        type: u4
      - id: peer
        type: u8
      - id: num_options
        type: u8
      - id: options
        type: socket_option
        repeat: expr
        repeat-expr: num_options
      - id: filter
        type: blob
      - id: num_queue
        type: u8
      - id: queue
        type: inet_message
        repeat: expr
        repeat-expr: num_queue
      - id: num_groups
        type: u8
      - id: groups
        type: membership
        repeat: expr
        repeat-expr: num_groups
      - id: num_kept
        type: u8
      - id: kept
        type: kept
        repeat: expr
        repeat-expr: num_kept
  inet_address:
    seq:
      - id: port
        type: u4
      - id: flow
        type: u4
      - id: scope
        type: u4
      - id: address
        size: 16
  socket_option:
    seq:
      - id: level
        type: u4
      - id: name
        type: u4
      - id: value
        type: blob
  inet_message:
    seq:
      - id: sender
        type: inet_address
      - id: data
        type: blob
  membership:
    seq:
      - id: family
        type: u4
      - id: interface
        type: u4
      - id: group
        type: inet_address
  kept:
    seq:
      - id: send_seq
        type: u4
      - id: receive_seq
        type: u4
      - id: not_sent
        type: u4
      - id: mss
        type: u4
      - id: options
        type: u4
      - id: send_scale
        type: u4
      - id: receive_scale
        type: u4
      - id: timestamp
        type: u4
      - id: send_wl1
        type: u4
      - id: send_window
        type: u4
      - id: max_window
        type: u4
      - id: receive_window
        type: u4
      - id: receive_wup
        type: u4
      - id: sent
        type: blob
      - id: door
        type: bytes
  history:
    seq:
      - id: num_descriptors
        type: u8
      - id: descriptors
        type: made
        repeat: expr
        repeat-expr: num_descriptors
      - id: compared
        type: u8
      - id: num_differences
        type: u8
      - id: differences
        type: difference
        repeat: expr
        repeat-expr: num_differences
  made:
    seq:
      - id: fd
        type: u4
      - id: mode
        type: u4
      - id: order
        type: u8
      - id: flags
        type: u8
      - id: source
        type: s8
      - id: kind
        type: bytes
      - id: path
        type: bytes
      - id: absolute
        type: bytes
      - id: num_names
        type: u8
      - id: names
        type: bytes
        repeat: expr
        repeat-expr: num_names
  difference:
    seq:
      - id: object
        type: bytes
      - id: text
        type: bytes
  notes:
    seq:
      - id: num_notes
        type: u8
      - id: notes
        type: note
        repeat: expr
        repeat-expr: num_notes
  note:
    seq:
      - id: object
        type: bytes
      - id: text
        type: bytes
  origin:
    seq:
      - id: time_sec
        type: s8
      - id: time_nsec
        type: u8
      - id: tool
        type: bytes
      - id: host
        type: bytes
      - id: kernel
        type: bytes
      - id: stopped_ns
        type: u8
  link:
    seq:
      - id: frore_set
        size: 16
      - id: frore_root
        size: 32
      - id: frost_root
        size: 32
  regs_x86_64:
    seq:
      - id: r15
        type: u8
      - id: r14
        type: u8
      - id: r13
        type: u8
      - id: r12
        type: u8
      - id: rbp
        type: u8
      - id: rbx
        type: u8
      - id: r11
        type: u8
      - id: r10
        type: u8
      - id: r9
        type: u8
      - id: r8
        type: u8
      - id: rax
        type: u8
      - id: rcx
        type: u8
      - id: rdx
        type: u8
      - id: rsi
        type: u8
      - id: rdi
        type: u8
      - id: orig_rax
        type: u8
      - id: rip
        type: u8
      - id: cs
        type: u8
      - id: eflags
        type: u8
      - id: rsp
        type: u8
      - id: ss
        type: u8
      - id: fs_base
        type: u8
      - id: gs_base
        type: u8
      - id: ds
        type: u8
      - id: es
        type: u8
      - id: fs
        type: u8
      - id: gs
        type: u8
  regs_i386:
    seq:
      - id: ebx
        type: u4
      - id: ecx
        type: u4
      - id: edx
        type: u4
      - id: esi
        type: u4
      - id: edi
        type: u4
      - id: ebp
        type: u4
      - id: eax
        type: u4
      - id: ds
        type: u4
      - id: es
        type: u4
      - id: fs
        type: u4
      - id: gs
        type: u4
      - id: orig_eax
        type: u4
      - id: eip
        type: u4
      - id: cs
        type: u4
      - id: eflags
        type: u4
      - id: esp
        type: u4
      - id: ss
        type: u4
  xstate:
    seq:
      - id: xcr0
        type: u8
      - id: num_layout
        type: u8
      - id: layout
        type: component
        repeat: expr
        repeat-expr: num_layout
      - id: area
        type: blob
  component:
    seq:
      - id: number
        type: u4
      - id: flags
        type: u4
      - id: offset
        type: u4
      - id: size
        type: u4
  tls:
    seq:
      - id: num_entries
        type: u8
      - id: entries
        type: tls_entry
        repeat: expr
        repeat-expr: num_entries
  tls_entry:
    seq:
      - id: entry
        type: u4
      - id: base
        type: u4
      - id: limit
        type: u4
      - id: flags
        type: u4
        valid:
          max: 127
  syscall:
    seq:
      - id: number
        type: u8
      - id: args
        type: u8
        repeat: expr
        repeat-expr: 6
      - id: restart
        type: u4
        doc: 0 finished, 512 ERESTARTSYS, 513 ERESTARTNOINTR, 514 ERESTARTNOHAND, 516 ERESTART_RESTARTBLOCK
      - id: flags
        type: u4
      - id: remaining_ns
        type: u8
  syscall_i386:
    seq:
      - id: number
        type: u4
      - id: restart
        type: u4
        doc: 0 finished, 512 ERESTARTSYS, 513 ERESTARTNOINTR, 514 ERESTARTNOHAND, 516 ERESTART_RESTARTBLOCK
      - id: args
        type: u4
        repeat: expr
        repeat-expr: 6
      - id: flags
        type: u4
      - id: reserved
        type: u4
        valid: 0
      - id: remaining_ns
        type: u8
  extents:
    seq:
      - id: digest
        size: 32
      - id: data_pages
        type: u8
      - id: num_extents
        type: u8
      - id: extents
        type: extent
        repeat: expr
        repeat-expr: num_extents
  extent:
    seq:
      - id: vaddr
        type: u8
      - id: pages
        type: u8
        valid:
          min: 1
      - id: content
        type: u4
        valid:
          any-of: [0, 1, 2, 3]
        doc: 0 zero, 1 in the DATA chunk, 2 in the DATA chunk and equal to the mapped file, 3 with the parent
      - id: reserved
        type: u4
        valid: 0
      - id: reference
        type: u8
  mqueue:
    seq:
      - id: name
        type: bytes
      - id: open_flags
        type: u8
      - id: ino
        type: u8
      - id: max_messages
        type: u8
      - id: message_size
        type: u8
      - id: waiting
        type: u8
      - id: mode
        type: u4
      - id: unlinked
        type: u4
        valid:
          any-of: [0, 1]
      - id: num_messages
        type: u8
      - id: messages
        type: queued_message
        repeat: expr
        repeat-expr: num_messages
  removed:
    seq:
      - id: path
        type: bytes
      - id: target
        type: bytes
      - id: dev
        type: u8
      - id: ino
        type: u8
      - id: mode
        type: u4
      - id: uid
        type: u4
      - id: gid
        type: u4
      - id: cwd
        type: u4
        valid:
          any-of: [0, 1]
  queued_message:
    seq:
      - id: priority
        type: u4
      - id: data
        type: blob
  sem_undo:
    seq:
      - id: num_adjustments
        type: u8
      - id: adjustments
        type: adjustment
        repeat: expr
        repeat-expr: num_adjustments
  adjustment:
    seq:
      - id: semid
        type: u4
      - id: key
        type: u4
      - id: number
        type: u4
      - id: adjust
        type: s4
  attributes:
    seq:
      - id: num_inodes
        type: u8
      - id: inodes
        type: inode_attributes
        repeat: expr
        repeat-expr: num_inodes
  inode_attributes:
    seq:
      - id: object
        type: u8
      - id: uid
        type: u4
      - id: gid
        type: u4
      - id: atime_sec
        type: s8
      - id: atime_nsec
        type: u8
      - id: num_extended
        type: u8
      - id: extended
        type: extended_attribute
        repeat: expr
        repeat-expr: num_extended
  extended_attribute:
    seq:
      - id: name
        type: bytes
      - id: value
        type: blob
  unread:
    seq:
      - id: content
        type: blob
