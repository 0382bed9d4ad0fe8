/* The registers of a stopped thread: general ones, and every vector register the kernel hands out. */
#include "residue.h"

#include <elf.h>
#include <stddef.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>

enum { REGISTERS_SIZE = 65536 };

#if defined(__x86_64__)
static const int sets[] = { NT_PRSTATUS, NT_FPREGSET, NT_X86_XSTATE };
#elif defined(__aarch64__)
enum { SVE = 0x405 };
static const int sets[] = { NT_PRSTATUS, NT_PRFPREG, SVE };
#else
#error "the registers of this processor are not known"
#endif

/* One register shows in more than one set: what counts is the largest. A set that this processor lacks has nothing in it. */
void residue_scan_registers(pid_t tid, struct residue_sample *s)
{
	uint8_t bytes[REGISTERS_SIZE];
	struct residue_hits vectors = { 0 };
	for (size_t i = 0; i < sizeof sets / sizeof *sets; i++) {
		struct iovec v = { bytes, sizeof bytes };
		struct residue_hits hits = { 0 };
		if (ptrace(PTRACE_GETREGSET, tid, sets[i], &v) != 0)
			continue;
		residue_needles_search(s->needles, bytes, v.iov_len, &hits);
		s->registers.kinds |= hits.kinds;
		s->registers.runs += hits.runs;
		if (sets[i] == NT_PRSTATUS) {
			s->registers.key += hits.key;
			s->registers.pin += hits.pin;
		} else {
			vectors.key = hits.key > vectors.key ? hits.key : vectors.key;
			vectors.pin = hits.pin > vectors.pin ? hits.pin : vectors.pin;
		}
	}
	s->registers.key += vectors.key;
	s->registers.pin += vectors.pin;
}

void residue_derail(pid_t tid)
{
	struct user_regs_struct registers;
	struct iovec v = { &registers, sizeof registers };
	if (ptrace(PTRACE_GETREGSET, tid, NT_PRSTATUS, &v) != 0)
		residue_die("cannot read registers");
#if defined(__x86_64__)
	registers.rip = 0;
	registers.orig_rax = ~0ull; /* no call to begin again */
#else
	registers.pc = 0;
#endif
	if (ptrace(PTRACE_SETREGSET, tid, NT_PRSTATUS, &v) != 0)
		residue_die("cannot set registers");
}
