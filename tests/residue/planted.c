/* residue_planted FILE HEAP LOCKED REGISTERS: holds bytes of FILE where the scanner should find them, and nowhere else: HEAP bytes on the heap, LOCKED bytes on a
 * locked page and REGISTERS (0 or 16) bytes in a vector register, each its own stretch of FILE. Prints "ready", then waits to be killed.
 *
 * What is read goes from the kernel straight to its place; a register is loaded from there, and the place is wiped with the register still loaded. */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { PAGE = 4096, VECTOR = 16 };

static void read_at(int fd, void *into, size_t len, size_t from)
{
	if (pread(fd, into, len, (off_t)from) != (ssize_t)len)
		_exit(2);
}

/* Loads the register, wipes the place, waits. One piece of assembly: a call in between would be free to use the register. */
static void wait_with(uint8_t *place)
{
#if defined(__x86_64__)
	for (;;) {
		long result = SYS_pause;
		__asm__ volatile("movdqu (%1), %%xmm9\n\tmovq $0, (%1)\n\tmovq $0, 8(%1)\n\tsyscall\n\tmovdqu %%xmm9, (%1)"
		                 : "+a"(result)
		                 : "r"(place)
		                 : "rcx", "r11", "memory", "xmm9");
	}
#else
	for (;;) {
		register long number __asm__("x8") = SYS_ppoll;
		register long nothing __asm__("x0") = 0, none __asm__("x1") = 0, ever __asm__("x2") = 0, mask __asm__("x3") = 0;
		__asm__ volatile("ldr q9, [%4]\n\tstp xzr, xzr, [%4]\n\tsvc #0\n\tstr q9, [%4]"
		                 : "+r"(nothing)
		                 : "r"(number), "r"(none), "r"(ever), "r"(place), "r"(mask)
		                 : "memory", "v9");
	}
#endif
}

int main(int argc, char **argv)
{
	if (argc != 5)
		return 2;
	int fd = open(argv[1], O_RDONLY | O_CLOEXEC);
	size_t on_heap = strtoul(argv[2], NULL, 10), on_page = strtoul(argv[3], NULL, 10), in_register = strtoul(argv[4], NULL, 10);
	uint8_t *heap = calloc(1, PAGE), *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (fd < 0 || heap == NULL || page == MAP_FAILED || mlock(page, PAGE) != 0 || on_heap > PAGE || on_page > PAGE / 2 || in_register > VECTOR)
		return 2;
	read_at(fd, heap, on_heap, 0);
	read_at(fd, page, on_page, on_heap);
	read_at(fd, page + PAGE / 2, in_register, on_heap + on_page);
	puts("ready");
	fflush(stdout);
	wait_with(page + PAGE / 2);
}
