/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Where things are in a template, and what its numbers mean: the constants of spec/ that the reader needs. tests/layout.rs compares every line with
 * cryo-format.
 */
#ifndef FRORE_LAYOUT_H
#define FRORE_LAYOUT_H

/* The header (spec/04-header.md). */
#define FRORE_MAGIC "\xc7" "CRYO\r\n\x1a\n"
#define FRORE_HEADER_LEN 64
#define FRORE_HEADER_PROFILE 9
#define FRORE_HEADER_MACHINE 10
#define FRORE_HEADER_MAJOR 12
#define FRORE_HEADER_INCOMPAT 16
#define FRORE_HEADER_PAGE_SHIFT 48
#define FRORE_HEADER_RESERVED 49
#define FRORE_HEADER_CRC 60
#define FRORE_MAJOR 1
#define FRORE_PROFILE_FREEZE 1
#define FRORE_PROFILE_FRORE 2
#define FRORE_PROFILE_FROST 3
#define FRORE_EM_386 3
#define FRORE_EM_X86_64 62

/* Chunks (spec/05-chunks.md). */
#define FRORE_CHUNK_HEADER_LEN 48
#define FRORE_CHUNK_KIND 0
#define FRORE_CHUNK_VERSION 4
#define FRORE_CHUNK_FLAGS 6
#define FRORE_CHUNK_OWNER 8
#define FRORE_CHUNK_STORED 16
#define FRORE_CHUNK_RAW 24
#define FRORE_CHUNK_CRC 32
#define FRORE_CHUNK_RESERVED 36
#define FRORE_CHUNK_HEADER_CRC 44
#define FRORE_CRITICAL 0x1
#define FRORE_SAFE_TO_COPY 0x2
#define FRORE_CODEC 0xf00

/* The end of a file (spec/11-integrity.md, spec/12-streaming.md). */
#define FRORE_END_LEN 40
#define FRORE_END_CHUNKS 32
#define FRORE_FOOTER_MAGIC "\xc7" "CRYOEND"
#define FRORE_FOOTER_LEN 32
#define FRORE_FOOTER_INDEX 8
#define FRORE_FOOTER_END 16
#define FRORE_FOOTER_RESERVED 24
#define FRORE_FOOTER_CRC 28

/* Limits (spec/14-limits.md). */
#define FRORE_MAX_METADATA 0x1000000
#define FRORE_MAX_DATA 0x100000
#define FRORE_MIN_PAGE_SHIFT 12
#define FRORE_MAX_PAGE_SHIFT 16
#define FRORE_CHUNK_ALIGN 8

/* OBJS (spec/sections/objects.md). */
#define FRORE_DIGEST_LEN 32
#define FRORE_OBJECT_FILE 0
#define FRORE_OBJECT_SHARED_ANONYMOUS 2

/* VMAS (spec/sections/vmas.md). */
#define FRORE_ANONYMOUS 0
#define FRORE_PRIVATE_FILE 1
#define FRORE_SHARED 2
#define FRORE_SPECIAL 3
#define FRORE_VM_GROWSDOWN 0x1
#define FRORE_VM_LOCKED 0x2
#define FRORE_VM_NORESERVE 0x100
#define FRORE_VM_HUGETLB 0x200
#define FRORE_VM_LOCKONFAULT 0x1000
#define FRORE_VM_DROPPABLE 0x2000
#define FRORE_VM_MAYWRITE 0x10000

/* Every kind of chunk (spec/06-registry.md): kind, version, profile (0: any), flags. The latest version of a kind stands before older ones. */
#define FRORE_KINDS(X) \
	X("DATA", 1, 0, 1) \
	X("END ", 1, 0, 1) \
	X("PAD ", 1, 0, 0) \
	X("INDX", 1, 0, 0) \
	X("CPU ", 1, 2, 1) \
	X("OBJS", 2, 2, 1) \
	X("MM  ", 2, 2, 1) \
	X("VMAS", 1, 2, 1) \
	X("GARD", 1, 2, 1) \
	X("MBND", 1, 2, 1) \
	X("ATTR", 1, 2, 1) \
	X("FMLY", 1, 3, 1) \
	X("PROC", 2, 3, 1) \
	X("THRD", 2, 3, 1) \
	X("FS  ", 1, 3, 1) \
	X("SIGA", 1, 3, 1) \
	X("SIGP", 1, 3, 1) \
	X("LDT ", 1, 3, 1) \
	X("AIO ", 1, 3, 1) \
	X("LIMT", 1, 3, 1) \
	X("CLKS", 1, 3, 1) \
	X("ITIM", 1, 3, 1) \
	X("PTIM", 1, 3, 1) \
	X("CRED", 1, 3, 1) \
	X("SECC", 1, 3, 1) \
	X("SCHD", 1, 3, 1) \
	X("MPOL", 1, 3, 1) \
	X("SEMU", 1, 3, 1) \
	X("FDTB", 1, 3, 1) \
	X("FDTT", 1, 3, 1) \
	X("FILE", 1, 3, 1) \
	X("RMVD", 1, 3, 1) \
	X("OUTS", 1, 3, 1) \
	X("UNRD", 1, 3, 1) \
	X("PIPE", 2, 3, 1) \
	X("PEND", 1, 3, 1) \
	X("INET", 1, 3, 1) \
	X("NTLK", 1, 3, 1) \
	X("RAWS", 1, 3, 1) \
	X("PCKT", 1, 3, 1) \
	X("UNIX", 1, 3, 1) \
	X("ANCL", 1, 3, 1) \
	X("PEER", 1, 3, 2) \
	X("EVFD", 1, 3, 1) \
	X("SGFD", 1, 3, 1) \
	X("TMFD", 1, 3, 1) \
	X("PIDF", 1, 3, 1) \
	X("PIDD", 1, 3, 1) \
	X("EPOL", 2, 3, 1) \
	X("INOT", 1, 3, 1) \
	X("FANO", 1, 3, 1) \
	X("MQUE", 1, 3, 1) \
	X("LOCK", 2, 3, 1) \
	X("OWNR", 1, 3, 1) \
	X("PTTY", 1, 3, 1) \
	X("PTYE", 1, 3, 1) \
	X("SESS", 1, 3, 1) \
	X("CTTY", 1, 3, 1) \
	X("TERM", 1, 3, 1) \
	X("HIST", 1, 3, 2) \
	X("NOTE", 1, 3, 2) \
	X("ORIG", 1, 3, 2) \
	X("LINK", 1, 1, 1) \
	X("RX64", 1, 1, 1) \
	X("RI32", 1, 1, 1) \
	X("XSTA", 1, 1, 1) \
	X("TLSE", 1, 1, 1) \
	X("SYSC", 1, 1, 1) \
	X("SI32", 1, 1, 1) \
	X("FORK", 1, 1, 1) \
	X("PRNT", 1, 1, 1) \
	X("EXTS", 1, 1, 1) \
	X("TCHD", 1, 1, 2) \
	X("OBJS", 1, 2, 1) \
	X("MM  ", 1, 2, 1) \
	X("PROC", 1, 3, 1) \
	X("THRD", 1, 3, 1) \
	X("PIPE", 1, 3, 1) \
	X("LOCK", 1, 3, 1) \
	X("EPOL", 1, 3, 1)

#endif
