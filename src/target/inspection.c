/* From facts to a description. Facts are looked up by names this file knows; a host that says more than it was asked is not heard. */
#include "target/inspection.h"

#include "base/text.h"

#include <stdio.h>

static const char *const kinds[CUSTOS_FILE_KINDS] = { "certificate", "key", "combined" };

/* NULL when the host did not say. */
static const char *fact(const struct custos_reply *facts, const char *kind, const char *what)
{
	char name[64];
	snprintf(name, sizeof name, "%s.%s", kind, what);
	const char *value = custos_reply_get(facts, name);
	return value[0] == '\0' ? NULL : value;
}

static struct custos_json *describe_files(const struct custos_plan *plan, const struct custos_reply *facts)
{
	struct custos_json *files = custos_json_array();
	for (size_t i = 0; i < CUSTOS_FILE_KINDS; i++) {
		const char *mode = fact(facts, kinds[i], "mode");
		if (plan->recipe.files[i].path[0] == '\0')
			continue;
		bool absent = mode != NULL && strcmp(mode, "absent") == 0;
		struct custos_json *file = custos_json_object();
		custos_json_set_text(file, "kind", kinds[i]);
		custos_json_set_text(file, "path", plan->recipe.files[i].path);
		custos_json_set(file, "present", mode == NULL ? NULL : custos_json_boolean(!absent));
		custos_json_set_text(file, "mode", absent ? NULL : mode);
		custos_json_set_text(file, "owner", fact(facts, kinds[i], "owner"));
		if (i == CUSTOS_FILE_CERTIFICATE)
			custos_json_set_text(file, "sha256", fact(facts, kinds[i], "sha256"));
		custos_json_push(files, file);
	}
	return files;
}

/* A row where df told something; the same directory once. */
static void add_room(struct custos_json *rooms, const char *directory, const struct custos_reply *facts, const char *kind)
{
	uint64_t free_kib, needed_kib;
	const char *has = fact(facts, kind, "free"), *needs = fact(facts, kind, "needed");
	if (has == NULL || needs == NULL || !custos_text_u64(has, 0, INT64_MAX, &free_kib) || !custos_text_u64(needs, 0, INT64_MAX, &needed_kib))
		return;
	for (size_t i = 0; i < custos_json_count(rooms); i++)
		if (strcmp(custos_json_text(custos_json_at(rooms, i), "directory"), directory) == 0)
			return;
	struct custos_json *room = custos_json_object();
	custos_json_set_text(room, "directory", directory);
	custos_json_set_int(room, "free_kib", (int64_t)free_kib);
	custos_json_set_int(room, "needed_kib", (int64_t)needed_kib);
	custos_json_push(rooms, room);
}

static struct custos_json *describe_room(const struct custos_plan *plan, const struct custos_reply *facts)
{
	struct custos_json *rooms = custos_json_array();
	add_room(rooms, plan->recipe.staging, facts, "staging");
	for (size_t i = 0; i < CUSTOS_FILE_KINDS; i++) {
		const char *path = plan->recipe.files[i].path, *last = strrchr(path, '/');
		char directory[256];
		if (last == NULL)
			continue;
		snprintf(directory, sizeof directory, "%.*s", last == path ? 1 : (int)(last - path), path);
		add_room(rooms, directory, facts, kinds[i]);
	}
	return rooms;
}

static struct custos_json *describe_reports(const struct custos_plan *plan, const struct custos_reply *facts)
{
	struct custos_json *reports = custos_json_array();
	for (size_t i = 0; i < plan->recipe.report_count; i++) {
		char number[24];
		snprintf(number, sizeof number, "%zu", i + 1);
		struct custos_json *report = custos_json_object();
		custos_json_set_text(report, "name", plan->recipe.reports[i].name);
		custos_json_set_text(report, "says", fact(facts, "report", number));
		custos_json_push(reports, report);
	}
	return reports;
}

static struct custos_json *split_methods(const char *list)
{
	struct custos_json *methods = custos_json_array();
	for (const char *p = list; *p != '\0'; p += strspn(p, ",")) {
		char method[64];
		size_t len = strcspn(p, ",");
		snprintf(method, sizeof method, "%.*s", (int)(len < sizeof method ? len : sizeof method - 1), p);
		if (len > 0)
			custos_json_push(methods, custos_json_string(method));
		p += len;
	}
	return methods;
}

void custos_inspection_add_obstacle(struct custos_json *inspection, custos_rc category, const char *reason, const char *hint)
{
	struct custos_json *obstacles = custos_json_child(inspection, "obstacles");
	/* two files in one directory are stopped by the same */
	for (size_t i = 0; i < custos_json_count(obstacles); i++)
		if (strcmp(custos_json_text(custos_json_at(obstacles, i), "reason"), reason) == 0)
			return;
	struct custos_json *obstacle = custos_json_object();
	custos_json_set_text(obstacle, "category", custos_rc_name(category));
	custos_json_set_text(obstacle, "reason", reason);
	custos_json_set_text(obstacle, "hint", hint != NULL && hint[0] != '\0' ? hint : NULL);
	custos_json_push(obstacles, obstacle);
}

struct custos_json *custos_inspection_describe(const struct custos_plan *plan, const struct custos_reply *facts)
{
	struct custos_json *found = custos_json_object();
	const char *version = custos_reply_get(facts, "version"), *hint = NULL;
	custos_rc category = CUSTOS_E_SYSTEM;
	custos_json_set_text(found, "version", version[0] == '\0' ? NULL : version);
	custos_json_set(found, "login_offered", split_methods(custos_reply_get(facts, "login.offered")));
	custos_json_set(found, "files", describe_files(plan, facts));
	custos_json_set(found, "room", describe_room(plan, facts));
	custos_json_set(found, "report", describe_reports(plan, facts));
	custos_json_set(found, "obstacles", custos_json_array());
	/* in the order of the checks: each is told after what belongs to it */
	for (size_t i = 0; i < facts->count; i++) {
		if (strcmp(facts->keys[i], "refused") == 0 || strcmp(facts->keys[i], "locked") == 0) {
			category = CUSTOS_E_POLICY;
		} else if (strcmp(facts->keys[i], "hint") == 0) {
			hint = facts->values[i];
		} else if (strcmp(facts->keys[i], "why") == 0) {
			custos_inspection_add_obstacle(found, category, facts->values[i], hint);
			category = CUSTOS_E_SYSTEM;
			hint = NULL;
		}
	}
	return found;
}
