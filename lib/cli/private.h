/* Between the files of lib/cli only. */
#ifndef CLI_PRIVATE_H
#define CLI_PRIVATE_H

#include "cli/cli.h"

/* options.c */
int options_parse(struct run *r, int argc, char **argv);
void options_free(struct run *r); /* what options_parse allocated in r->self */
void options_help(const struct program *p, FILE *to);
void options_man(const struct program *p, FILE *to);
void options_list(const struct program *p, FILE *to);

/* main.c */
int on_frame(struct run *r, struct frame *f, void *none);
/* run_frames' steps around each frame: before, and after, when so much as `done`
 * counts has been done. */
int frame_begin(struct run *r, const struct frame *f);
int frame_done(struct run *r, const struct stream *done);

/* lanes.c */
int lanes_run(struct run *r);

/* signals.c */
void signals_setup(void);
volatile const int *signals_stop(void); /* the signal that asked us to stop, -1: run_halt, or 0 */
bool signals_asked_report(void);        /* SIGUSR1 since the last call */

/* status.c */
void status_tick(struct run *r);   /* --status and SIGUSR1, when due */
void status_final(struct run *r, int code);
void progress_free(struct run *r);

#endif
