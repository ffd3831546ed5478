/* SPDX-License-Identifier: MIT */
/* epoll_ctl(2) with an event that was copied. */
#ifndef CALL_EPOLL_H
#define CALL_EPOLL_H

struct epoll_event;

int call_epoll_ctl(int epfd, int op, int fd, const struct epoll_event *event);

#endif
