/* check_log DIR VKEY [OLDER]: custos_log_verify_dir() as a program. Prints the report, or the reason on one line; exits with the category. */
#include "log/log.h"

#include <stdio.h>

static bool read_note(const char *path, struct custos_buf *note)
{
	char chunk[4096];
	FILE *file = fopen(path, "rb");
	if (file == NULL)
		return false;
	size_t got;
	bool fine = true;
	while (fine && (got = fread(chunk, 1, sizeof chunk, file)) > 0)
		fine = custos_buf_append(note, chunk, got, NULL) == CUSTOS_OK;
	fclose(file);
	return fine;
}

int main(int argc, char **argv)
{
	struct custos_json *report = NULL;
	struct custos_err err = { 0 };
	CUSTOS_AUTO_BUF older = { 0 };
	if (argc < 3 || argc > 4 || (argc == 4 && !read_note(argv[3], &older))) {
		fprintf(stderr, "usage: check_log DIR VKEY [OLDER]\n");
		return 2;
	}
	custos_rc rc = custos_log_verify_dir(argv[1], argv[2], custos_buf_view(&older), &report, &err);
	if (rc != CUSTOS_OK) {
		fprintf(stderr, "%s\n", err.msg);
		return (int)rc;
	}
	char *text = custos_json_pretty(report);
	fputs(text == NULL ? "?\n" : text, stdout);
	free(text);
	custos_json_free(report);
	return 0;
}
