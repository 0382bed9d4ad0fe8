/* Places: who else could put something where custos takes it from. Owners and modes in, findings out. */
#include "doctor/machine.h"

#include <errno.h>
#include <sys/stat.h>

void custos_judge_user(const struct custos_machine *m, struct custos_finding *ret)
{
	if (m->uid == 0)
		custos_finding_set(ret, CUSTOS_VERDICT_INFO, "a user of its own, custos.sysusers.conf; as a service: custos@.service", "this is root; custos needs none of root's rights");
	else
		custos_finding_set(ret, CUSTOS_VERDICT_OK, NULL, "not root (user %u)", (unsigned)m->uid);
}

void custos_judge_lock_directory(const struct custos_machine *m, struct custos_finding *ret)
{
	static const char remedy[] = "as root: install -d -m 1777 -o root -g root /run/lock/custos, at boot by custos.tmpfiles.conf";
	const struct custos_place *p = &m->lock_dir;
	mode_t mode = p->mode & 07777;
	if (p->error == ENOENT && m->uid == 0)
		custos_finding_set(ret, CUSTOS_VERDICT_OK, NULL, "%s is not there yet; it is made when it is needed", p->path);
	else if (p->error == ENOENT)
		custos_finding_set(ret, CUSTOS_VERDICT_WARN, remedy, "%s is not there; a user who makes it shuts other users out", p->path);
	else if (p->error != 0)
		custos_finding_set(ret, CUSTOS_VERDICT_FAIL, remedy, "%s cannot be looked at: %s", p->path, strerror(p->error));
	else if (!S_ISDIR(p->mode))
		custos_finding_set(ret, CUSTOS_VERDICT_FAIL, "remove it, then as root: install -d -m 1777 -o root -g root /run/lock/custos", "%s is not a directory", p->path);
	else if (p->uid != 0 && p->uid != m->uid && m->uid != 0)
		custos_finding_set(ret, CUSTOS_VERDICT_FAIL, remedy, "%s belongs to user %u, and no token can be locked", p->path, (unsigned)p->uid);
	else if (p->uid != 0)
		custos_finding_set(ret, CUSTOS_VERDICT_WARN, remedy, "%s belongs to user %u, and other users cannot lock a token", p->path, (unsigned)p->uid);
	else if (mode == 01777)
		custos_finding_set(ret, CUSTOS_VERDICT_OK, NULL, "%s belongs to root, mode 1777", p->path);
	else if (m->uid != 0 && (mode & S_IWOTH) == 0)
		custos_finding_set(ret, CUSTOS_VERDICT_FAIL, remedy, "%s has mode %04o, and this user can lock no token", p->path, (unsigned)mode);
	else
		custos_finding_set(ret, CUSTOS_VERDICT_WARN, remedy, "%s has mode %04o instead of 1777", p->path, (unsigned)mode);
}

/* A sticky directory protects what others own in it, so only the directory that holds a helper must not be one. */
static bool others_can_replace(const struct custos_place *p, size_t index)
{
	bool parent = index > 2 && S_ISDIR(p->mode);
	return (p->mode & (S_IWGRP | S_IWOTH)) != 0 && !(parent && (p->mode & S_ISVTX) != 0);
}

void custos_judge_helpers(const struct custos_machine *m, struct custos_finding *ret)
{
	static const char remedy[] = "install the package again, or: chown root, chmod go-w, the file and every directory above it";
	const struct custos_place *own = NULL;
	if (m->helper_trouble[0] != '\0') {
		custos_finding_set(ret, CUSTOS_VERDICT_FAIL, remedy, "%s", m->helper_trouble);
		return;
	}
	for (size_t i = 0; i < m->helper_count; i++) {
		const struct custos_place *p = &m->helpers[i];
		if (p->error != 0) {
			custos_finding_set(ret, CUSTOS_VERDICT_FAIL, remedy, "%s cannot be looked at: %s", p->path, strerror(p->error));
			return;
		}
		if (others_can_replace(p, i) || (p->uid != 0 && p->uid != m->uid)) {
			custos_finding_set(ret, CUSTOS_VERDICT_FAIL, remedy, "%s %s: who can write there decides what runs in the helpers' place", p->path,
			                   others_can_replace(p, i) ? "can be written by others" : "belongs to another user");
			return;
		}
		if (p->uid != 0 && own == NULL)
			own = p;
	}
	if (own != NULL)
		custos_finding_set(ret, CUSTOS_VERDICT_WARN, remedy, "%s belongs to this user, not to root: any program of this user can replace it", own->path);
	else
		custos_finding_set(ret, CUSTOS_VERDICT_OK, NULL, "%s and its neighbour belong to root, and nobody else can write there", m->helper_count > 0 ? m->helpers[0].path : "the helper");
}
