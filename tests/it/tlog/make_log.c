/* make_log OUT ed25519|p256 SIZE…: publishes one growing log, signed by a key that lives only as long as this process.
 *
 *   OUT/vkey, OUT/N      its key, and the log as it was at size N
 *   OUT/fork             the same key, the largest size, another last entry
 *   OUT/other(.vkey)     the same origin and size, another key
 *   OUT/renamed(.vkey)   the same key and size, another origin */
#include "soft_log.h"

#include <sys/stat.h>

static const char origin[] = "log.example.com/custody", other_origin[] = "log.example.com/elsewhere";

static void must(custos_rc rc, const struct custos_err *err)
{
	if (rc == CUSTOS_OK)
		return;
	fprintf(stderr, "make_log: %s\n", err->msg);
	exit(1);
}

/* Something like a custody's life: intents, outcomes, and notes of growing length. */
static void add_entry(struct custos_log *log, const char *remark)
{
	uint64_t index = custos_log_size(log);
	const char *const hosts[] = { "esx1", "esx2", NULL };
	struct custos_json *fields = custos_json_object();
	struct custos_err err = { 0 };
	const char *event = "note";
	char text[400] = "";
	memset(text, 'a' + (int)(index % 26), (index * 7) % 300);
	custos_json_set_text(fields, "operator", "alice");
	custos_json_set_text(fields, "remark", remark == NULL ? text : remark);
	if (index % 5 == 1) {
		event = "release.intent";
		custos_json_set(fields, "hosts", soft_hosts(hosts));
	} else if (index % 5 == 2 || (index % 5 == 3 && index % 2 == 0)) {
		event = "release.done";
		custos_json_set_int(fields, "intent", (int64_t)(index - index % 5 + 1));
		custos_json_set_text(fields, "target", hosts[index % 5 - 2]);
	}
	must(custos_log_append(log, event, fields, NULL, &err), &err);
	custos_json_free(fields);
}

static void write_text(const char *out, const char *name, const char *text)
{
	char path[4096];
	snprintf(path, sizeof path, "%s/%s", out, name);
	FILE *file = fopen(path, "w");
	if (file == NULL || fprintf(file, "%s\n", text) < 0 || fclose(file) != 0) {
		perror(path);
		exit(1);
	}
}

static struct custos_log *new_log(struct soft_storage *storage, const struct soft_signer *signer, const char *name, const char *out,
                                  const char *vkey_file)
{
	struct custos_log_storage interface = soft_interface(storage);
	struct custos_log *log = NULL;
	struct custos_err err = { 0 };
	char *vkey = soft_vkey(signer, name);
	must(custos_log_open(&interface, name, NULL, NULL, NULL, &log, &err), &err);
	must(custos_log_set_vkey(log, vkey, &err), &err);
	write_text(out, vkey_file, vkey);
	free(vkey);
	return log;
}

static void publish(struct custos_log *log, const struct soft_signer *signer, const char *out, const char *name)
{
	char path[4096];
	struct custos_err err = { 0 };
	snprintf(path, sizeof path, "%s/%s", out, name);
	must(custos_log_commit(log, &signer->signer, &err), &err);
	must(custos_log_publish(log, path, &err), &err);
}

static void make_variant(const struct soft_signer *signer, const char *name, uint64_t size, const char *out, const char *dir, const char *vkey_file)
{
	struct soft_storage *storage = soft_storage_new();
	struct custos_log *log = new_log(storage, signer, name, out, vkey_file);
	while (custos_log_size(log) < size)
		add_entry(log, NULL);
	publish(log, signer, out, dir);
	custos_log_free(log);
	soft_storage_free(storage);
}

/* Another end to the same beginning: what a fork is. The beginning is copied, because entries made a second later are other entries. */
static void make_fork(const struct soft_signer *signer, struct soft_storage *storage, uint64_t size, const char *out)
{
	struct custos_log_storage interface = soft_interface(storage);
	struct custos_log *log = NULL;
	struct custos_err err = { 0 };
	char *vkey = soft_vkey(signer, origin);
	must(custos_log_open(&interface, origin, vkey, NULL, NULL, &log, &err), &err);
	while (custos_log_size(log) < size)
		add_entry(log, custos_log_size(log) + 1 == size ? "forked" : NULL);
	publish(log, signer, out, "fork");
	free(vkey);
	custos_log_free(log);
	soft_storage_free(storage);
}

int main(int argc, char **argv)
{
	if (argc < 4) {
		fprintf(stderr, "usage: make_log OUT ed25519|p256 SIZE...\n");
		return 2;
	}
	const char *out = argv[1];
	enum custos_signature algorithm = strcmp(argv[2], "p256") == 0 ? CUSTOS_SIGNATURE_ECDSA_SHA256 : CUSTOS_SIGNATURE_ED25519;
	struct soft_signer signer, stranger;
	soft_signer_init(&signer, algorithm);
	soft_signer_init(&stranger, algorithm);
	if (mkdir(out, 0755) != 0) {
		perror(out);
		return 1;
	}
	struct soft_storage *storage = soft_storage_new();
	struct custos_log *log = new_log(storage, &signer, origin, out, "vkey");
	struct soft_storage *beginning = NULL;
	for (int i = 3; i < argc; i++) {
		if (i + 1 == argc)
			beginning = soft_storage_copy(storage);
		while (custos_log_size(log) < strtoull(argv[i], NULL, 10))
			add_entry(log, NULL);
		publish(log, &signer, out, argv[i]);
	}
	uint64_t size = custos_log_size(log);
	make_fork(&signer, beginning, size, out);
	make_variant(&stranger, origin, size, out, "other", "other.vkey");
	make_variant(&signer, other_origin, size, out, "renamed", "renamed.vkey");
	custos_log_free(log);
	soft_storage_free(storage);
	soft_signer_done(&signer);
	soft_signer_done(&stranger);
	return 0;
}
