/* Time that only goes forward, for durations. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

/* Seconds since some moment. */
double clock_now(void);

#endif
