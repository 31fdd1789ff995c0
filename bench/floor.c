/* floor.c: the least a broadcast server can do, as a yardstick.
 *
 *   floor --port 0            each chunk that arrives is sent to every other client, one send() each. No lines, no
 *                             names, no order promised, no backlog: nothing that broadcasts over TCP does less for
 *                             one message at a time.
 *   floor --port 0 --batch N  waits until N chunks have come (or no more come), then one send per client. With as
 *                             many as are in flight, nothing can do with fewer sends: the figure measured is the
 *                             ceiling of the load generator, and of the kernel, rather than of a server.
 *
 * One thread, epoll, 127.0.0.1 only. The first line on stdout is `listening on 127.0.0.1:PORT`. Ends at SIGTERM.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum {
    LISTEN_BACKLOG = 4096,
    EVENTS = 1024,           /* per epoll_wait */
    CHUNK = 4096,            /* bytes taken from one client at a time */
    MOST_CHUNKS = 1024,      /* in a batch */
    QUIET_NS = 1000000,      /* no more came for so long: the batch is sent as it is */
    MAX_DESCRIPTORS = 65536, /* clients are found by descriptor */
};

struct chunk { /* where one client's bytes stand in the batch, so that they are not sent back to it */
    int start, length;
};

static int clients[MAX_DESCRIPTORS]; /* descriptors, dense, in no order */
static int client_count;
static int place_of[MAX_DESCRIPTORS];         /* descriptor -> index in clients */
static struct chunk sent_by[MAX_DESCRIPTORS]; /* descriptor -> its chunk of this batch; length 0: none */

static struct {
    char bytes[MOST_CHUNKS * CHUNK];
    size_t filled;
    int sender[MOST_CHUNKS]; /* descriptors */
    int senders;
    int enough; /* chunks at which it is sent; 0: no batches */
} batch;

static void __attribute__((format(printf, 1, 2), noreturn)) die(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fputs("floor: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    exit(2);
}

static int64_t now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void remove_client(int fd)
{
    int last = clients[--client_count];
    clients[place_of[fd]] = last;
    place_of[last] = place_of[fd];
    close(fd);
}

static int listen_on(int port)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    socklen_t size = sizeof address;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, (struct sockaddr *)&address, size) != 0 || listen(fd, LISTEN_BACKLOG) != 0)
        die("cannot listen on port %d: %s", port, strerror(errno));
    getsockname(fd, (struct sockaddr *)&address, &size);
    printf("listening on 127.0.0.1:%d\n", ntohs(address.sin_port));
    fflush(stdout);
    return fd;
}

static void accept_all(int listener, int poll_fd)
{
    int fd, on = 1;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        struct epoll_event wanted = {.events = EPOLLIN, .data.fd = fd};
        if (fd >= MAX_DESCRIPTORS)
            die("too many clients");
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        epoll_ctl(poll_fd, EPOLL_CTL_ADD, fd, &wanted);
        place_of[fd] = client_count;
        clients[client_count++] = fd;
    }
}

/* A yardstick has no backlog: with a closed-loop load every send fits; one that does not ends the run, loudly. */
static void must_have_sent(ssize_t taken, size_t wanted)
{
    if (taken < 0 && (errno == ECONNRESET || errno == EPIPE))
        return;
    if (taken != (ssize_t)wanted)
        die("a client's socket was full; the floor keeps no backlog");
}

static void send_to_others(int sender, const char *bytes, size_t length)
{
    for (int i = 0; i < client_count; i++)
        if (clients[i] != sender)
            must_have_sent(send(clients[i], bytes, length, MSG_DONTWAIT | MSG_NOSIGNAL), length);
}

static void send_batch(void)
{
    for (int i = 0; i < client_count; i++) {
        struct chunk own = sent_by[clients[i]];
        size_t start = (size_t)own.start, end = (size_t)(own.start + own.length);
        size_t others = batch.filled - (end - start);
        struct iovec parts[2] = {{batch.bytes, start}, {batch.bytes + end, batch.filled - end}};
        struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
        if (others > 0)
            must_have_sent(sendmsg(clients[i], &message, MSG_DONTWAIT | MSG_NOSIGNAL), others);
    }
    for (int i = 0; i < batch.senders; i++)
        sent_by[batch.sender[i]] = (struct chunk){0, 0};
    batch.filled = 0;
    batch.senders = 0;
}

/* Take one chunk, and pass it on, or keep it for the batch. */
static void take_chunk(int fd)
{
    static char chunk[CHUNK];
    char *place = batch.enough ? batch.bytes + batch.filled : chunk;
    if (sent_by[fd].length > 0 || batch.senders == MOST_CHUNKS)
        return; /* a second chunk of the same client: with the next batch */
    ssize_t got = recv(fd, place, CHUNK, 0);
    if (got <= 0) {
        if (got == 0 || errno != EAGAIN)
            remove_client(fd);
    } else if (!batch.enough) {
        send_to_others(fd, chunk, (size_t)got);
    } else {
        sent_by[fd] = (struct chunk){(int)batch.filled, (int)got};
        batch.sender[batch.senders++] = fd;
        batch.filled += (size_t)got;
    }
}

static void serve(int listener)
{
    struct epoll_event events[EVENTS], wanted = {.events = EPOLLIN, .data.fd = listener};
    int poll_fd = epoll_create1(EPOLL_CLOEXEC);
    int64_t latest = 0; /* when the batch last grew */
    epoll_ctl(poll_fd, EPOLL_CTL_ADD, listener, &wanted);
    for (;;) {
        size_t filled = batch.filled;
        int count = epoll_wait(poll_fd, events, EVENTS, filled > 0 ? 0 : -1);
        for (int i = 0; i < count; i++) {
            if (events[i].data.fd == listener)
                accept_all(listener, poll_fd);
            else
                take_chunk(events[i].data.fd);
        }
        if (batch.filled > filled)
            latest = now();
        if (batch.filled > 0 && (batch.senders >= batch.enough || now() - latest > QUIET_NS))
            send_batch();
    }
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"port", required_argument, NULL, 'p'}, {"batch", required_argument, NULL, 'b'}, {NULL, 0, NULL, 0}};
    struct rlimit descriptors;
    int port = 0, option;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == 'p')
            port = atoi(optarg);
        else if (option == 'b')
            batch.enough = atoi(optarg);
        else
            die("usage: floor [--port P] [--batch N]");
    }
    getrlimit(RLIMIT_NOFILE, &descriptors);
    descriptors.rlim_cur = descriptors.rlim_max;
    setrlimit(RLIMIT_NOFILE, &descriptors);
    if (batch.enough < 0 || batch.enough > MOST_CHUNKS)
        die("--batch takes at most %d", MOST_CHUNKS);
    serve(listen_on(port));
    return 0;
}
