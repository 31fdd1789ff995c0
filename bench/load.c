/* load.c: many chat clients in one thread, and the measuring of what reaches them.
 *
 *   load --port P --dialect plain --clients 100 --window 100 --messages 20000
 *
 * It logs all clients in, keeps at most --window messages in flight (a closed loop), and stops when every client
 * has every message, or with "lost": N when no more come. The result is one line of JSON on stdout.
 *
 * In flight means: messages sent, less the number that the client furthest behind has received. The senders take
 * turns. A message is counted by its marker byte, which stands once in each message and in nothing else that a
 * server sends from then on; so what a server adds around it costs the generator no parsing, only bytes. What comes
 * before the first message is sent is not counted: the history that who joins is shown has markers, too.
 *
 * Where the server does not send people their own messages back (raw, irc, plain), the sender has it at sending;
 * that is no delivery, and is not counted as one.
 *
 * With --handshake it prints `ready` when all are in and quiet, and waits for a line on stdin; after the result it
 * waits for another one before it hangs up. At both times the server can be looked at from outside.
 *
 * Exit status: 0 all received, 1 something was lost or came twice, 2 it could not be measured (the reason on stderr).
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#ifdef WITH_TLS
#include <openssl/err.h>
#include <openssl/ssl.h>
#endif

#define MARKER '|'
#define STDIN_TOKEN UINT32_MAX /* in epoll data: not a client's index */

enum {
    TEXT_BYTES = 64,      /* of text in a message, the marker included and the newline not */
    LINE_BYTES = 512,     /* of a line kept while logging in; what is longer is cut, and matters to nobody */
    EVENTS = 1024,        /* per epoll_wait */
    RECEIVE = 1 << 18,    /* bytes per recv */
    GROUP = 8,            /* connections opened at a time: fits the listen backlog of 10 that ncat has */
    QUIET_MS = 150,       /* no byte for so long: the joining is over */
    SETTLE_MS = 20000,    /* at most so long for it */
    LINGER_MS = 20,       /* after the last message that is due: time for one that is not to come */
    WARMUP = 200,         /* messages, at least, before those that count */
    PROBE_MS = 200,       /* raw: how long to wait for a probe to be heard before the next */
    LOGIN_MS = 60000,     /* at most so long without any byte while logging in */
    NANOS = 1000000000,
};

/* SESSION: native, with a seat that outlives the connection, as client.py asks for. */
enum dialect { RAW, IRC, PLAIN, NATIVE, SESSION };
static const char *const dialect_names[] = {"raw", "irc", "plain", "native", "session"};

/* When the clients acknowledge what they receive; see acknowledge(). */
enum ack { ACK_KERNEL, ACK_SENT, ACK_EACH };
static const char *const ack_names[] = {"kernel", "sent", "each"};

struct client {
    int fd;
#ifdef WITH_TLS
    SSL *tls; /* with --tls */
#endif
    bool in;         /* logged in: its bytes are counted, no longer parsed */
    bool asked;      /* plain, native: it was asked for its nickname and answered */
    long done;       /* messages it has (its own included), of all that were sent */
    long tag;        /* native: the number of its latest message */
    long received;   /* bytes */
    size_t kept;     /* bytes in line */
    char line[LINE_BYTES];
};

static struct {
    int port, clients, window, group;
    long messages, warmup;
    double seconds, time_limit, stall_limit;
    enum dialect dialect;
    enum ack ack;
    bool handshake, tls;
} want = {.clients = 10, .window = 1, .group = GROUP, .messages = 10000, .warmup = -1, .seconds = 1e6,
          .time_limit = 120, .stall_limit = 5, .dialect = PLAIN, .ack = ACK_SENT};

static struct client *clients;
static int connected; /* the first so many of clients are connected */
static int poll_fd;

/* The closed loop. level[k & mask]: how many clients have exactly k messages. */
static int *level;
static int64_t *sent_at; /* ns, of message k at [k & mask] */
static long mask, sent, lowest, surplus, wire_deliveries, next_sender;
static bool hung_up, stdin_ready;
static char message_text[TEXT_BYTES + 1];

static uint32_t *latencies; /* ns, one per message */
static long latency_count, latency_room;

static void __attribute__((format(printf, 1, 2), noreturn)) die(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fputs("load: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    exit(2);
}

static int64_t now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * NANOS + t.tv_nsec;
}

static double cpu_seconds(void)
{
    struct rusage use;
    getrusage(RUSAGE_SELF, &use);
    return (double)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) +
           (double)(use.ru_utime.tv_usec + use.ru_stime.tv_usec) / 1e6;
}

/* The sums are bytes, in blocks of fewer than 256, so that the compiler keeps sixteen of them in a register. */
static long count_markers(const char *bytes, size_t length)
{
    long total = 0;
    while (length > 0) {
        size_t block = length < 240 ? length : 240;
        uint8_t sum = 0;
        for (size_t i = 0; i < block; i++)
            sum = (uint8_t)(sum + (bytes[i] == MARKER));
        total += sum;
        bytes += block;
        length -= block;
    }
    return total;
}

/* Send the acknowledgement that is due, and do not delay the next ones. A socket that answers within some
 * milliseconds of what it received, as these do and people do not, is put into a mode where its acknowledgements
 * wait up to 40 ms; and one that receives single small segments waits too. To a server that leaves Nagle's
 * algorithm on (ncat, ngIRCd) each is a stop of 40 ms, which would be measured as the server's. */
static void acknowledge(int fd)
{
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_QUICKACK, &on, sizeof on);
}

/* Send and receive as the system calls do, in TLS where that is asked for. */
static ssize_t put_bytes(struct client *c, const char *bytes, size_t length)
{
#ifdef WITH_TLS
    if (c->tls != NULL) {
        int taken = SSL_write(c->tls, bytes, (int)length);
        if (taken <= 0)
            errno = SSL_get_error(c->tls, taken) == SSL_ERROR_WANT_WRITE ? EAGAIN : ECONNRESET;
        return taken > 0 ? taken : -1;
    }
#endif
    return send(c->fd, bytes, length, MSG_NOSIGNAL);
}

static ssize_t get_bytes(struct client *c, char *bytes, size_t room)
{
#ifdef WITH_TLS
    if (c->tls != NULL) { /* a record at a time, until no more has come: what is left in there wakes nobody */
        size_t total = 0;
        while (room - total >= 16384) {
            int got = SSL_read(c->tls, bytes + total, (int)(room - total));
            if (got <= 0) {
                errno = SSL_get_error(c->tls, got) == SSL_ERROR_WANT_READ ? EAGAIN : ECONNRESET;
                return total > 0 ? (ssize_t)total : errno == EAGAIN ? -1 : 0;
            }
            total += (size_t)got;
        }
        return (ssize_t)total;
    }
#endif
    return recv(c->fd, bytes, room, 0);
}

static bool more_to_get(const struct client *c)
{
#ifdef WITH_TLS
    return c->tls != NULL && SSL_pending(c->tls) > 0;
#else
    (void)c;
    return false;
#endif
}

/* The handshake, on a socket that still blocks. Nobody's certificate is checked: it is our own server's. */
static void begin_tls(struct client *c)
{
#ifdef WITH_TLS
    static SSL_CTX *context;
    if (context == NULL) {
        context = SSL_CTX_new(TLS_client_method());
        SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE);
    }
    c->tls = SSL_new(context);
    SSL_set_fd(c->tls, c->fd);
    if (SSL_connect(c->tls) != 1)
        die("client %ld: no TLS: %s", (long)(c - clients), ERR_reason_error_string(ERR_get_error()));
#else
    (void)c;
    die("this was compiled without TLS: install OpenSSL's headers (libssl-dev)");
#endif
}

/* All that a client sends fits in its empty socket, as at most a window of messages is in flight. */
static void send_text(struct client *c, const char *bytes, size_t length)
{
    ssize_t taken = put_bytes(c, bytes, length);
    if (taken < 0 && (errno == EPIPE || errno == ECONNRESET))
        hung_up = true;
    else if (taken != (ssize_t)length)
        die("the server does not take what client %ld sends: %s", (long)(c - clients), strerror(errno));
    if (want.ack != ACK_KERNEL)
        acknowledge(c->fd);
}

static void __attribute__((format(printf, 2, 3))) say(struct client *c, const char *format, ...)
{
    char line[LINE_BYTES];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    send_text(c, line, (size_t)length);
}

static void answer_nick(struct client *c, const char *format)
{
    char answer[64];
    if (c->asked)
        die("client %ld: the nickname was refused", (long)(c - clients));
    c->asked = true;
    snprintf(answer, sizeof answer, format, (long)(c - clients));
    send_text(c, answer, strlen(answer));
}

static bool begins(const char *line, const char *with)
{
    return strncmp(line, with, strlen(with)) == 0;
}

/* IRC: the second word of a server's line is the number of its answer. */
static bool is_numeric(const char *line, const char *number)
{
    const char *space = strchr(line, ' ');
    return space != NULL && begins(space, number);
}

/* One line that came while logging in. */
static void login_line(struct client *c, const char *line)
{
    switch (want.dialect) {
    case RAW:
        break;
    case IRC:
        if (begins(line, "PING "))
            say(c, "PONG %s\r\n", line + 5);
        else if (begins(line, "ERROR") || is_numeric(line, " 433 ") || is_numeric(line, " 432 "))
            die("client %ld: %s", (long)(c - clients), line);
        else if (is_numeric(line, " 001 "))
            say(c, "JOIN #room\r\n");
        else if (is_numeric(line, " 366 "))
            c->in = true;
        break;
    case PLAIN:
        if (begins(line, "NICK"))
            answer_nick(c, "u%ld\n");
        else if (line[0] == '*')
            c->in = true;
        else
            die("client %ld: %s", (long)(c - clients), line);
        break;
    case NATIVE:
    case SESSION:
        if (begins(line, "NICK"))
            answer_nick(c, want.dialect == NATIVE ? "HELLO 1 u%ld\n" : "HELLO 1 u%ld session=new\n");
        else if (begins(line, "WELCOME "))
            c->in = true;
        else
            die("client %ld: %s", (long)(c - clients), line);
        break;
    }
}

/* Feed bytes to the log-in; gives the number it used (fewer than all when the client is in). */
static size_t login_bytes(struct client *c, const char *bytes, size_t length)
{
    size_t used = 0;
    while (used < length && !c->in) {
        char byte = bytes[used++];
        if (byte == '\n') {
            while (c->kept > 0 && c->line[c->kept - 1] == '\r')
                c->kept--;
            c->line[c->kept] = '\0';
            c->kept = 0;
            login_line(c, c->line);
        } else if (c->kept < LINE_BYTES - 1) {
            c->line[c->kept++] = byte;
        }
    }
    return used;
}

static void note_latency(int64_t nanos)
{
    if (latency_count == latency_room) {
        latency_room = latency_room ? latency_room * 2 : 1 << 16;
        latencies = realloc(latencies, (size_t)latency_room * sizeof *latencies);
        if (latencies == NULL)
            die("out of memory");
    }
    latencies[latency_count++] = nanos > UINT32_MAX ? UINT32_MAX : (uint32_t)nanos;
}

/* Client c has `count` messages more. A message is complete when nobody is left with fewer. */
static void complete(struct client *c, long count)
{
    if (c->done + count > sent) {
        surplus += c->done + count - sent;
        count = sent - c->done;
    }
    level[c->done & mask]--;
    c->done += count;
    level[c->done & mask]++;
    if (level[lowest & mask] == 0) {
        int64_t t = now();
        while (level[lowest & mask] == 0)
            note_latency(t - sent_at[lowest++ & mask]);
    }
}

static void take_bytes(struct client *c)
{
    static char bytes[RECEIVE];
    ssize_t got = get_bytes(c, bytes, sizeof bytes);
    if (got < 0 && errno == EAGAIN)
        return;
    if (got <= 0) {
        if (!c->in)
            die("client %ld: the server hung up while it was logging in", (long)(c - clients));
        hung_up = true;
        epoll_ctl(poll_fd, EPOLL_CTL_DEL, c->fd, NULL);
        return;
    }
    c->received += got;
    if (want.ack == ACK_EACH)
        acknowledge(c->fd);
    size_t used = c->in ? 0 : login_bytes(c, bytes, (size_t)got);
    /* A PING comes to a client to whom nothing else was said, so at the start of what is received. */
    if (want.dialect == IRC && c->in && begins(bytes, "PING "))
        say(c, "PONG :load\r\n");
    long count = sent > 0 ? count_markers(bytes + used, (size_t)got - used) : 0;
    if (count > 0) {
        wire_deliveries += count;
        complete(c, count);
    }
    if (more_to_get(c))
        take_bytes(c);
}

/* Wait at most `milliseconds` for anything, and take it; gives false when nothing came. */
static bool take_events(int milliseconds)
{
    static struct epoll_event events[EVENTS];
    int count = epoll_wait(poll_fd, events, EVENTS, milliseconds);
    if (count < 0 && errno != EINTR)
        die("epoll_wait: %s", strerror(errno));
    for (int i = 0; i < count; i++) {
        if (events[i].data.u32 == STDIN_TOKEN)
            stdin_ready = true;
        else
            take_bytes(&clients[events[i].data.u32]);
    }
    return count != 0;
}

static void connect_one(struct client *c)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)want.port)};
    struct epoll_event wanted = {.events = EPOLLIN, .data.u32 = (uint32_t)(c - clients)};
    int on = 1;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (c->fd < 0)
        die("client %ld: %s", (long)(c - clients), strerror(errno));
    if (connect(c->fd, (struct sockaddr *)&address, sizeof address) != 0)
        die("cannot connect client %ld to port %d: %s", (long)(c - clients), want.port, strerror(errno));
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (want.tls)
        begin_tls(c);
    fcntl(c->fd, F_SETFL, O_NONBLOCK);
    epoll_ctl(poll_fd, EPOLL_CTL_ADD, c->fd, &wanted);
    if (want.dialect == IRC)
        say(c, "NICK u%ld\r\nUSER u 0 * :load\r\n", (long)(c - clients));
}

/* A raw server greets nobody: a client is in when something it says is heard, and when it hears something.
 * Connections are accepted in their order, so one probe, of the last of a group, is enough for the group. */
static void probe(struct client *speaker, struct client *first, struct client *end)
{
    int64_t deadline = now() + (int64_t)LOGIN_MS * 1000000;
    for (;;) {
        int64_t patience = now() + (int64_t)PROBE_MS * 1000000;
        say(speaker, ".\n");
        while (now() < patience) {
            bool all = true;
            take_events(PROBE_MS);
            for (struct client *c = first; c < end && all; c++)
                all = c == speaker || c->received > 0;
            if (all)
                return;
        }
        if (now() > deadline || hung_up)
            die("the server does not pass on what client %ld says", (long)(speaker - clients));
    }
}

static void log_in_raw(int first, int end)
{
    for (int i = first; i < end; i++)
        clients[i].in = true;
    clients[0].received = 0;
    probe(&clients[end - 1], &clients[0], &clients[1]);
    if (end == want.clients)
        probe(&clients[0], &clients[1], &clients[end]);
}

static void log_in_lines(int first, int end)
{
    for (int i = first; i < end; i++)
        while (!clients[i].in)
            if (!take_events(LOGIN_MS))
                die("client %d is not let in: nothing came for %d s", i, LOGIN_MS / 1000);
}

/* Take what the joining of everybody has still to tell everybody. */
static void settle(void)
{
    int64_t deadline = now() + (int64_t)SETTLE_MS * 1000000;
    while (now() < deadline && !stdin_ready)
        if (!take_events(QUIET_MS))
            break;
    if (hung_up)
        die("the server hung up on a client that was in");
}

static void log_in_all(void)
{
    while (connected < want.clients) {
        int first = connected, end = first + want.group < want.clients ? first + want.group : want.clients;
        if (want.clients - end == 1)
            end = want.clients; /* no group of one: in a raw room it would have nobody to hear it */
        for (; connected < end; connected++)
            connect_one(&clients[connected]);
        if (want.dialect == RAW)
            log_in_raw(first, end);
        else
            log_in_lines(first, end);
    }
}

static void send_message(struct client *c)
{
    char line[LINE_BYTES];
    int length = 0;
    switch (want.dialect) {
    case RAW:
    case PLAIN:
        length = snprintf(line, sizeof line, "%s\n", message_text);
        break;
    case IRC:
        length = snprintf(line, sizeof line, "PRIVMSG #room :%s\r\n", message_text);
        break;
    case NATIVE:
    case SESSION:
        length = snprintf(line, sizeof line, "SAY %ld %s\n", ++c->tag, message_text);
        break;
    }
    sent_at[sent & mask] = now();
    send_text(c, line, (size_t)length);
    sent++;
    if (want.dialect < NATIVE) /* it has it now: it is sent no copy */
        complete(c, 1);
}

/* Send up to `messages` for up to `seconds`, and wait until all have been received. Gives the seconds it took. */
static double run(long messages, double seconds)
{
    int64_t start = now();
    int64_t enough = start + (int64_t)(seconds * NANOS), limit = start + (int64_t)(want.time_limit * NANOS);
    long goal = sent + messages;
    latency_count = wire_deliveries = 0;
    for (;;) {
        int64_t t = now();
        if (t > enough)
            goal = sent;
        while (sent < goal && sent - lowest < want.window && !hung_up) {
            send_message(&clients[next_sender]);
            next_sender = (next_sender + 1) % want.clients;
        }
        if (lowest == sent || hung_up || t > limit)
            break;
        if (!take_events((int)(want.stall_limit * 1000)))
            break;
    }
    return (double)(now() - start) / NANOS;
}

static int by_value(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static double percentile_us(double share)
{
    if (latency_count == 0)
        return 0;
    return latencies[(long)((double)(latency_count - 1) * share)] / 1e3;
}

static long lost_count(void)
{
    long lost = 0;
    for (int i = 0; i < want.clients; i++)
        lost += sent - clients[i].done;
    return lost;
}

static void print_result(double login, double seconds, double cpu, long messages)
{
    qsort(latencies, (size_t)latency_count, sizeof *latencies, by_value);
    printf("{\"dialect\": \"%s\", \"clients\": %d, \"window\": %d, \"messages\": %ld, \"login_ms\": %.1f, "
           "\"seconds\": %.4f, \"deliveries\": %ld, \"deliveries_per_second\": %.0f, \"p50_us\": %.1f, "
           "\"p99_us\": %.1f, \"lost\": %ld, \"surplus\": %ld, \"hung_up\": %s, \"generator_cpu\": %.2f}\n",
           dialect_names[want.dialect], want.clients, want.window, messages, login * 1e3, seconds,
           wire_deliveries, (double)wire_deliveries / seconds, percentile_us(0.50), percentile_us(0.99),
           lost_count(), surplus, hung_up ? "true" : "false", cpu / seconds);
    fflush(stdout);
}

/* Let the other side look at the server, still reading whatever comes, until it writes a line (or is gone). */
static void wait_for_line(const char *announcement)
{
    char byte = 0;
    if (!want.handshake)
        return;
    if (announcement != NULL) {
        puts(announcement);
        fflush(stdout);
    }
    do {
        for (stdin_ready = false; !stdin_ready;)
            take_events(-1);
    } while (read(STDIN_FILENO, &byte, 1) == 1 && byte != '\n');
    stdin_ready = false;
}

static void raise_descriptor_limit(void)
{
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_max < (rlim_t)want.clients + 64)
        die("%d clients need %d descriptors; the hard limit (ulimit -Hn) is %ld", want.clients, want.clients + 64,
            (long)limit.rlim_max);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

static int choice(const char *option, const char *name, const char *const *names, int count)
{
    for (int i = 0; i < count; i++)
        if (strcmp(name, names[i]) == 0)
            return i;
    die("%s knows no %s", option, name);
}

static void parse_arguments(int argc, char **argv)
{
    static const struct option options[] = {
        {"port", required_argument, NULL, 'p'},       {"dialect", required_argument, NULL, 'd'},
        {"clients", required_argument, NULL, 'c'},    {"window", required_argument, NULL, 'w'},
        {"messages", required_argument, NULL, 'm'},   {"warmup", required_argument, NULL, 'u'},
        {"seconds", required_argument, NULL, 's'},    {"group", required_argument, NULL, 'g'},
        {"time-limit", required_argument, NULL, 't'}, {"stall-limit", required_argument, NULL, 'l'},
        {"ack", required_argument, NULL, 'a'},        {"handshake", no_argument, NULL, 'h'},
        {"tls", no_argument, NULL, 'T'},              {NULL, 0, NULL, 0}};
    int option;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (option) {
        case 'p': want.port = atoi(optarg); break;
        case 'd': want.dialect = (enum dialect)choice("--dialect", optarg, dialect_names, SESSION + 1); break;
        case 'a': want.ack = (enum ack)choice("--ack", optarg, ack_names, ACK_EACH + 1); break;
        case 'c': want.clients = atoi(optarg); break;
        case 'w': want.window = atoi(optarg); break;
        case 'm': want.messages = atol(optarg); break;
        case 'u': want.warmup = atol(optarg); break;
        case 's': want.seconds = atof(optarg); break;
        case 'g': want.group = atoi(optarg); break;
        case 't': want.time_limit = atof(optarg); break;
        case 'l': want.stall_limit = atof(optarg); break;
        case 'h': want.handshake = true; break;
        case 'T': want.tls = true; break;
        default:
            die("usage: load --port P [--dialect raw|irc|plain|native|session] [--clients N]\n"
                "  [--window W] [--messages M] [--seconds S] [--warmup M] [--ack kernel|sent|each] [--group N]\n"
                "  [--time-limit S] [--stall-limit S] [--handshake] [--tls]");
        }
    }
    if (want.port <= 0 || want.clients < 2 || want.window < 1 || want.messages < 1 || want.group < 2)
        die("--port is needed, --clients and --group are at least 2, --window and --messages at least 1");
    if (want.warmup < 0) /* enough that buffers have grown and interpreters are warm, and short in a large room */
        want.warmup = want.window * 5 > WARMUP ? want.window * 5 : WARMUP;
}

static void prepare(void)
{
    long ring = 1;
    while (ring <= want.window)
        ring *= 2;
    mask = ring - 1;
    level = calloc((size_t)ring, sizeof *level);
    sent_at = calloc((size_t)ring, sizeof *sent_at);
    clients = calloc((size_t)want.clients, sizeof *clients);
    if (level == NULL || sent_at == NULL || clients == NULL)
        die("out of memory");
    level[0] = want.clients;
    memset(message_text, 'x', TEXT_BYTES);
    message_text[0] = MARKER;
    poll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (want.handshake) {
        struct epoll_event wanted = {.events = EPOLLIN, .data.u32 = STDIN_TOKEN};
        if (epoll_ctl(poll_fd, EPOLL_CTL_ADD, STDIN_FILENO, &wanted) != 0)
            die("--handshake needs a pipe or a terminal on stdin");
    }
}

int main(int argc, char **argv)
{
    parse_arguments(argc, argv);
    raise_descriptor_limit();
    prepare();
    int64_t start = now();
    log_in_all();
    double login = (double)(now() - start) / NANOS;
    settle();
    wait_for_line("ready");
    double seconds = want.warmup > 0 ? run(want.warmup, want.seconds) : 0;
    double cpu = cpu_seconds();
    long before = sent;
    if (lowest == sent) /* else the warm-up already lost something, and that is the result */
        seconds = run(want.messages, want.seconds);
    cpu = cpu_seconds() - cpu;
    while (take_events(LINGER_MS) && surplus == 0 && !hung_up)
        ; /* what comes now came twice */
    print_result(login, seconds, cpu, sent - before);
    bool exact = lost_count() == 0 && surplus == 0 && !hung_up;
    wait_for_line(NULL);
    return exact ? 0 : 1;
}
