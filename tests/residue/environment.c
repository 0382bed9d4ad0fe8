/* Stands where custos-courier stands, puts the processor's AES, SHA, AVX and carry-less multiplication out of libcrypto's sight, and becomes the courier that was
 * copied to BENEATH. The courier's environment is empty, so there is no other way to tell its libcrypto from outside. */
#include <unistd.h>

int main(void)
{
	char name[] = "custos-courier", x86[] = "OPENSSL_ia32cap=~0x1200000200000000:~0xe0090120", arm[] = "OPENSSL_armcap=0";
	char *argv[] = { name, NULL }, *environment[] = { x86, arm, NULL };
	execve(BENEATH, argv, environment);
	return 127;
}
