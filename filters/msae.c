/* msae: the one name on the PATH. `msae topk -k 32` runs topk; where programs
 * are: libexec/msae beside the directory of this one, or that directory. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "sae/blas.h"
#include "sae/simd.h"
#include "stream/keys.h"

static const struct { const char *name, *what; } programs[] = {
	{"read-embeddings", "files of rows to a stream"},
	{"plant-embeddings", "rows made of known concepts, to try things on"},
	{"normalize", "centre and scale, or take that back"},
	{"sae-train", "train a sparse autoencoder on embeddings"},
	{"sae-encode", "embeddings to sparse codes"},
	{"topk", "keep the largest codes of each row"},
	{"sae-decode", "codes back to embeddings"},
	{"sae-eval", "measure how good a model is"},
	{"sae-align", "match the latents of two models one to one"},
	{"sae-convert", "models of other libraries to one file, and back; what is in a model"},
	{"probe", "linear probes: fit to labels, apply, score"},
	{"name-concepts", "name a model's latents with words"},
	{"concept-score", "give codes the names of their concepts"},
	{"steer", "set, scale and add to chosen concepts"},
	{"concept-search", "find the rows nearest to concepts, words or other rows"},
	{"bias-audit", "find concepts in which groups differ, and what a probe makes of them"},
	{"report", "tell what is in a stream: text, JSON, HTML"},
	{"write-embeddings", "a column to an .npy file"},
	{"frames", "look at a stream, check it, text and back"},
	{"farm", "have workers on other machines do a stage's work"},
	{"work", "do a stage's work for a farm"},
};
#define NPROGRAMS (sizeof programs / sizeof *programs)

/* The directory this executable is in: from /proc where there is one, else
 * from the PATH that found it. */
static int
own_directory(const char *argv0, char *out, size_t size)
{
	ssize_t n = readlink("/proc/self/exe", out, size - 1);
	char *path = getenv("PATH"), *dir, *copy, *slash;

	if (n > 0) {
		out[n] = 0;
	} else if (strchr(argv0, '/')) {
		snprintf(out, size, "%s", argv0);
	} else {
		copy = strdup(path ? path : "");
		for (out[0] = 0, dir = copy ? strtok(copy, ":") : NULL; dir; dir = strtok(NULL, ":")) {
			snprintf(out, size, "%s/%s", dir, argv0);
			if (access(out, X_OK) == 0)
				break;
		}
		free(copy);
	}
	slash = strrchr(out, '/');
	if (!slash)
		return -1;
	*slash = 0;
	return 0;
}

static void
usage(FILE *to)
{
	size_t i;

	fputs("msae - tells what embeddings mean, one small program a step\n\n"
	      "Usage: msae PROGRAM [options]        run a program\n"
	      "       msae help [PROGRAM]           this, or a program's help\n"
	      "       msae keygen NAME              keys for --keys: NAME and NAME_secret\n"
	      "       msae --version                version, compiler, BLAS, CPU path\n\nPrograms:\n", to);
	for (i = 0; i < NPROGRAMS; i++)
		fprintf(to, "  %-18s%s\n", programs[i].name, programs[i].what);
	fputs("\nExample:\n"
	      "  msae read-embeddings photos.npy | msae normalize -m clip.msae |\n"
	      "    msae sae-encode -m clip.msae -k 32 | msae concept-score -c concepts.json | msae report\n", to);
}

static int
keygen(int n, char **names)
{
	struct err e = {0};

	if (n != 1) {
		fputs("msae: keygen: needs one name, of the files to be made; try: msae help\n", stderr);
		return CODE_USAGE;
	}
	if (keys_generate(names[0], &e)) {
		fprintf(stderr, "msae: %s\n", e.text);
		return e.code;
	}
	printf("%s         the public key: give it to the other side\n%s_secret  both keys: keep it, for --keys\n", names[0], names[0]);
	return 0;
}

static int
version(void)
{
	const struct simd *simd = simd_for(getenv("MSAE_CPU"));

	printf("msae %s\n", MSAE_VERSION);
#if defined(__clang__)
	printf("compiler  clang %s\n", __clang_version__);
#elif defined(__GNUC__)
	printf("compiler  gcc %s\n", __VERSION__);
#endif
	printf("BLAS      %s\n", blas_describe());
	printf("CPU path  %s\n", simd ? simd->name : "(MSAE_CPU asks for one this machine does not have)");
	return 0;
}

/* Runs NAME from libexec or from beside us; returns only on failure. */
static int
run(const char *dir, const char *name, char **argv)
{
	char path[PATH_MAX + 64];
	size_t i;

	for (i = 0; i < NPROGRAMS && strcmp(programs[i].name, name); i++)
		;
	if (i == NPROGRAMS) {
		fprintf(stderr, "msae: %s: no such program; try: msae help\n", name);
		return CODE_USAGE;
	}
	snprintf(path, sizeof path, "%s/../libexec/msae/%s", dir, name);
	if (access(path, X_OK))
		snprintf(path, sizeof path, "%s/%s", dir, name);
	argv[0] = (char *)(uintptr_t)programs[i].name;
	execv(path, argv);
	fprintf(stderr, "msae: %s: cannot run: %s\n", path, strerror(errno));
	return CODE_NOINPUT;
}

/* Closed standard output or a full disk is an error here too. */
static int
done(int code)
{
	if (fflush(stdout) || ferror(stdout) || fclose(stdout)) {
		fprintf(stderr, "msae: standard output: cannot write: %s\n", strerror(errno));
		return CODE_IO;
	}
	return code;
}

int
main(int argc, char **argv)
{
	char dir[PATH_MAX], help[] = "--help", *help_argv[] = {NULL, help, NULL};
	size_t i;

	if (argc < 2) {
		usage(stderr);
		return CODE_USAGE;
	}
	if (!strcmp(argv[1], "--version") || !strcmp(argv[1], "-V"))
		return done(version());
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || (!strcmp(argv[1], "help") && argc == 2)) {
		usage(stdout);
		return done(0);
	}
	if (!strcmp(argv[1], "--list")) { /* for the shell's completion */
		for (i = 0; i < NPROGRAMS; i++)
			puts(programs[i].name);
		return done(0);
	}
	if (!strcmp(argv[1], "keygen"))
		return done(keygen(argc - 2, argv + 2));
	if (argv[1][0] == '-') {
		fprintf(stderr, "msae: %s: no such option; try: msae help\n", argv[1]);
		return CODE_USAGE;
	}
	if (own_directory(argv[0], dir, sizeof dir)) {
		fputs("msae: cannot tell where its programs are\n", stderr);
		return CODE_NOINPUT;
	}
	if (!strcmp(argv[1], "help"))
		return run(dir, argv[2], help_argv);
	return run(dir, argv[1], argv + 1);
}
