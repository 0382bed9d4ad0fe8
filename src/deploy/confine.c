/* The keeper's confinement: see confine.h. custos-token runs already and is not touched by it; couriers started later give up more by themselves. */
#include "deploy/confine.h"
#include "link/spawn.h"

static custos_rc allow_system(struct custos_confinement *confinement, struct custos_err *err)
{
	static const char *const programs[] = { "/usr", "/lib", "/lib64", "/bin", "/sbin" }, *const settings[] = { "/etc", "/run", "/proc" };
	for (size_t i = 0; i < sizeof programs / sizeof *programs; i++)
		CUSTOS_TRY(custos_confinement_allow_path(confinement, programs[i], CUSTOS_CONFINE_READ | CUSTOS_CONFINE_EXECUTE, err));
	for (size_t i = 0; i < sizeof settings / sizeof *settings; i++)
		CUSTOS_TRY(custos_confinement_allow_path(confinement, settings[i], CUSTOS_CONFINE_READ, err));
	CUSTOS_TRY(custos_confinement_allow_path(confinement, "/dev", CUSTOS_CONFINE_READ | CUSTOS_CONFINE_WRITE, err));
	return custos_confinement_allow_path(confinement, custos_helper_directory(), CUSTOS_CONFINE_READ | CUSTOS_CONFINE_EXECUTE, err);
}

static custos_rc allow_custody(struct custos_confinement *confinement, const struct custos_custody *c, struct custos_err *err)
{
	CUSTOS_AUTO_STR *folder = NULL;
	CUSTOS_TRY(custos_store_folder(c->store, &folder, err));
	CUSTOS_TRY(custos_confinement_allow_path(confinement, c->dir, CUSTOS_CONFINE_READ | CUSTOS_CONFINE_WRITE, err));
	return folder == NULL ? CUSTOS_OK : custos_confinement_allow_path(confinement, folder, CUSTOS_CONFINE_READ | CUSTOS_CONFINE_WRITE, err);
}

/* How a target logs in, from its record. */
static const char *login_of(const struct custos_custody *c, const char *target)
{
	const char *auth = custos_json_text(custos_state_target(&c->state, target), "auth");
	return auth == NULL ? "" : auth;
}

custos_rc custos_deploy_confinement(const struct custos_custody *c, const char *const targets[], const bool taken[], size_t count, struct custos_confinement **ret_confinement,
                                    struct custos_err *err)
{
	static const char key[] = "key:", file[] = "password:file:", program[] = "password:exec:";
	CUSTOS_AUTO(custos_confinement) *confinement = NULL;
	CUSTOS_TRY(custos_confinement_new(&confinement, err));
	CUSTOS_TRY(custos_confinement_only_paths(confinement, err));
	CUSTOS_TRY(allow_system(confinement, err));
	if (c != NULL)
		CUSTOS_TRY(allow_custody(confinement, c, err));
	for (size_t i = 0; i < count; i++) {
		const char *auth = taken[i] ? "" : login_of(c, targets[i]);
		if (strncmp(auth, program, sizeof program - 1) == 0)
			return CUSTOS_OK;
		if (strncmp(auth, key, sizeof key - 1) == 0)
			CUSTOS_TRY(custos_confinement_allow_path(confinement, auth + sizeof key - 1, CUSTOS_CONFINE_READ, err));
		else if (strncmp(auth, file, sizeof file - 1) == 0)
			CUSTOS_TRY(custos_confinement_allow_path(confinement, auth + sizeof file - 1, CUSTOS_CONFINE_READ, err));
	}
	*ret_confinement = CUSTOS_TAKE(confinement);
	return CUSTOS_OK;
}
