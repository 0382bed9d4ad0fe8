/* How most tests of tokens begin: see token_lab.h. */
#include "token_lab.h"

#include <fcntl.h>

int lab_start(struct lab *lab, const char *label)
{
	struct custos_err err = { 0 };
	if (custos_secret_start(&err) != CUSTOS_OK) {
		print_error("%s\n", err.msg);
		return -1;
	}
	lab_make(lab, label);
	lab_open(lab);
	lab_login(lab);
	lab_furnish(lab);
	return 0;
}

void lab_shim(struct lab *lab)
{
	char line[512], none[8];
	lab_bash(lab, "softhsm_module", lab->real_module, sizeof lab->real_module);
	snprintf(lab->shim, sizeof lab->shim, "%s/shim.so", lab->dir);
	snprintf(line, sizeof line, "install -m 0755 %s %s", LAB_SHIM, lab->shim);
	lab_bash(lab, line, none, sizeof none);
	snprintf(lab->report, sizeof lab->report, "%s/report", lab->dir);
}

void lab_play(const struct lab *lab, const char *part)
{
	setenv("CUSTOS_SHIM", part, 1);
	setenv("CUSTOS_SHIM_MODULE", lab->real_module, 1);
	setenv("CUSTOS_SHIM_REPORT", lab->report, 1);
	unlink(lab->report);
	close(open(lab->report, O_WRONLY | O_CREAT, 0600));
}

void lab_saw(const struct lab *lab, const char *letters)
{
	char seen[32] = "";
	int fd = open(lab->report, O_RDONLY);
	assert_true(fd >= 0 && read(fd, seen, sizeof seen - 1) >= 0);
	close(fd);
	assert_string_equal(seen, letters);
}
