/* How most tests of tokens begin: see token_lab.h. */
#include "token_lab.h"

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
}
