/* Ask a server on loopback for what a trace says, in its order, and judge each answer.

   replay PORT CONNECTIONS TRACE [--rate R] [--seconds S] [--requests N] [--first K]
          [--each] [--cut] [--urgent]

   Without --rate, each connection asks again as soon as it is answered (closed loop). With it, the
   requests are due at a constant rate, and a latency is counted from the instant at which its request
   was due, so that a server that stands still is charged for all that it kept waiting (no coordinated
   omission). --first begins further on in the order; --each goes through the requests once, as they are
   numbered, whatever the order. --cut ends in the middle of answers; otherwise those under way are waited for, ten seconds
   at most. --urgent asks for a real-time priority, for a few requests beside a heavy load.

   The trace is native binary: the number of requests and the length of the order (uint32 each); for each
   request its length, its stamp (uint32), the expected status (int32, 0 for any), the expected length of
   the content (int64, -1 for any) and its octets; then the order, an index (uint32) for each step. It is
   repeated as long as time and count allow. Where a stamp is not 0, the sixteen octets at this offset are
   written anew for each request, so that no two heads are equal.

   Prints one line of JSON. Bounds: 600 seconds, 20,000,000 requests, 8,192 connections. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { HEAD_LIMIT = 16384, READ_LIMIT = 1 << 18, BATCH = 256, CONNECTIONS_LIMIT = 8192 };
static const int64_t SECOND = 1000000000, LONGEST = 600, DRAIN_SECONDS = 10;
static const uint64_t REQUESTS_LIMIT = 20000000;

struct request {
    char *octets;
    uint32_t length, stamp;
    int32_t status;
    int64_t content;
};

enum part { HEAD, SIZE, CHUNK, CHUNK_END, TRAILER, CONTENT };

struct peer {
    int descriptor, status;
    enum part part;
    uint32_t request, head_octets, line_octets;
    int64_t due, left, content;
    char is_busy;
    char *head;
};

static struct request *requests;
static uint32_t *order, requests_count, order_count;
static struct peer *peers, **idle;
static uint32_t peers_count, idle_count;
static struct sockaddr_in address;
static uint32_t *latencies; /* in units of 0.1 microseconds */
static uint64_t issued, answered, wrong, lost, reconnected, octets, first;
static uint64_t statuses[600];
static uint64_t stamps;
static char first_wrong[200];
static int poller;

static void give_up(const char *what) {
    fprintf(stderr, "replay: %s%s%s\n", what, errno ? ": " : "", errno ? strerror(errno) : "");
    exit(2);
}

static int64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * SECOND + time.tv_nsec;
}

static void read_trace(const char *path) {
    int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    struct stat status;
    if (descriptor < 0 || fstat(descriptor, &status)) give_up(path);
    size_t size = status.st_size, at = 8;
    /* Private, so that stamps are written into this process's own copy. */
    char *map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_POPULATE, descriptor, 0);
    if (size < 8 || map == MAP_FAILED) give_up(path);
    errno = 0;
    memcpy(&requests_count, map, 4);
    memcpy(&order_count, map + 4, 4);
    if (!requests_count || !order_count) give_up("the trace is empty");
    if (!(requests = calloc(requests_count, sizeof *requests))) give_up("memory");
    for (uint32_t number = 0; number < requests_count; number++) {
        struct request *request = requests + number;
        if (size - at < 20) give_up("the trace is cut short");
        memcpy(&request->length, map + at, 4);
        memcpy(&request->stamp, map + at + 4, 4);
        memcpy(&request->status, map + at + 8, 4);
        memcpy(&request->content, map + at + 12, 8);
        request->octets = map + at + 20;
        if (size - at - 20 < request->length) give_up("the trace is cut short");
        if (request->stamp && (uint64_t)request->stamp + 16 > request->length) give_up("a stamp is outside");
        at += 20 + (size_t)request->length;
    }
    if (size - at != 4 * (size_t)order_count) give_up("the trace has another length");
    if (!(order = malloc(4 * (size_t)order_count))) give_up("memory");
    memcpy(order, map + at, 4 * (size_t)order_count);
    for (uint32_t step = 0; step < order_count; step++)
        if (order[step] >= requests_count) give_up("the order names a request that is not there");
    close(descriptor);
}

static void open_connection(struct peer *peer) {
    int yes = 1;
    peer->descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (peer->descriptor < 0) give_up("socket");
    struct timeval patience = {.tv_sec = DRAIN_SECONDS};
    setsockopt(peer->descriptor, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    if (connect(peer->descriptor, (struct sockaddr *)&address, sizeof address)) give_up("connect");
    setsockopt(peer->descriptor, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    fcntl(peer->descriptor, F_SETFL, O_NONBLOCK);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = peer};
    if (epoll_ctl(poller, EPOLL_CTL_ADD, peer->descriptor, &event)) give_up("epoll_ctl");
}

/* Sixteen digits that look like chance, each time others (splitmix64). */
static void write_stamp(char *place) {
    uint64_t value = stamps += 0x9e3779b97f4a7c15u;
    value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9u;
    value = (value ^ (value >> 27)) * 0x94d049bb133111ebu;
    value ^= value >> 31;
    for (int digit = 0; digit < 16; digit++, value >>= 4) place[digit] = "0123456789abcdef"[value & 15];
}

static void ask(struct peer *peer, int64_t due) {
    peer->request = order[(first + issued++) % order_count];
    struct request *request = requests + peer->request;
    if (request->stamp) write_stamp(request->octets + request->stamp);
    peer->is_busy = 1;
    peer->due = due;
    peer->part = HEAD;
    peer->head_octets = peer->line_octets = 0;
    peer->content = peer->left = 0;
    /* An idle connection that the server closed meanwhile costs one attempt more, as in a browser. */
    for (int attempt = 0; attempt < 2; attempt++) {
        if (send(peer->descriptor, request->octets, request->length, MSG_NOSIGNAL) == (ssize_t)request->length)
            return;
        close(peer->descriptor);
        open_connection(peer);
        reconnected++;
    }
    errno = 0;
    give_up("a request cannot be sent whole");
}

static void note_wrong(struct peer *peer, const char *what) {
    struct request *request = requests + peer->request;
    char *end = memchr(request->octets, '\r', request->length);
    int length = end ? (int)(end - request->octets) : 0;
    if (!wrong++)
        snprintf(first_wrong, sizeof first_wrong, "%.*s: %s, status %d, %" PRId64 " octets of content",
                 length > 80 ? 80 : length, request->octets, what, peer->status, peer->content);
}

/* Take an answer in: it is whole. */
static void finish(struct peer *peer) {
    struct request *request = requests + peer->request;
    int64_t latency = (now() - peer->due) / 100;
    latencies[answered++] = latency > UINT32_MAX ? UINT32_MAX : (uint32_t)latency;
    peer->is_busy = 0;
    statuses[peer->status]++;
    if (request->status && request->status != peer->status)
        note_wrong(peer, "another status");
    else if (request->content >= 0 && request->content != peer->content)
        note_wrong(peer, "another length");
}

/* Read the head that is whole now; return 0 where it is none. */
static int read_head(struct peer *peer) {
    char *head = peer->head;
    struct request *request = requests + peer->request;
    if (strncmp(head, "HTTP/1.", 7) || (peer->status = atoi(head + 9)) < 100 || peer->status > 599) return 0;
    char *length = strcasestr(head, "\r\ncontent-length:");
    char *coding = strcasestr(head, "\r\ntransfer-encoding:");
    if (request->length > 5 && !memcmp(request->octets, "HEAD ", 5)) length = coding = NULL;
    if (peer->status == 304 || peer->status == 204) length = coding = NULL;
    else if (!length && !coding) return 0;
    if (coding) {
        peer->part = SIZE;
    } else {
        peer->left = length ? strtoll(length + 17, NULL, 10) : 0;
        peer->part = CONTENT;
    }
    return 1;
}

/* Read what a connection received; return 0 where it is no answer. */
static int receive(struct peer *peer, char *data, size_t size) {
    while (size && peer->is_busy) {
        size_t taken = 1;
        switch (peer->part) {
        case HEAD: {
            uint32_t before = peer->head_octets, from = before > 3 ? before - 3 : 0;
            taken = size < HEAD_LIMIT - 1 - before ? size : HEAD_LIMIT - 1 - before;
            if (!taken) return 0;
            memcpy(peer->head + before, data, taken);
            peer->head_octets += taken;
            char *end = memmem(peer->head + from, peer->head_octets - from, "\r\n\r\n", 4);
            if (!end) break;
            taken = end + 4 - peer->head - before;
            end[2] = 0;
            if (!read_head(peer)) return 0;
            if (peer->part == CONTENT && !peer->left) finish(peer);
            break;
        }
        case CONTENT:
        case CHUNK:
            taken = (int64_t)size < peer->left ? size : (size_t)peer->left;
            peer->left -= taken;
            peer->content += taken;
            if (!peer->left) {
                if (peer->part == CONTENT) finish(peer);
                else peer->part = CHUNK_END;
            }
            break;
        case SIZE:
            if (*data != '\n') {
                if (peer->line_octets > 60) return 0;
                peer->head[peer->line_octets++] = *data;
                break;
            }
            peer->head[peer->line_octets] = 0;
            peer->line_octets = 0;
            peer->left = strtoll(peer->head, NULL, 16);
            peer->part = peer->left ? CHUNK : TRAILER;
            break;
        case CHUNK_END:
            if (*data == '\n') peer->part = SIZE;
            break;
        case TRAILER: /* no server that is measured sends fields there */
            if (*data == '\n') finish(peer);
            break;
        }
        data += taken;
        size -= taken;
    }
    return !size; /* octets after an answer belong to no request */
}

static int compare(const void *one, const void *other) {
    uint32_t left = *(const uint32_t *)one, right = *(const uint32_t *)other;
    return (left > right) - (left < right);
}

static double quantile(double share) {
    return answered ? latencies[(uint64_t)((answered - 1) * share)] / 10.0 : 0;
}

static void print_result(double seconds, uint64_t unanswered) {
    qsort(latencies, answered, sizeof *latencies, compare);
    printf("{\"answers\": %" PRIu64 ", \"seconds\": %.6f, \"octets\": %" PRIu64 ", \"wrong\": %" PRIu64
           ", \"lost\": %" PRIu64 ", \"unanswered\": %" PRIu64 ", \"reconnected\": %" PRIu64
           ", \"p50\": %.1f, \"p90\": %.1f, \"p99\": %.1f, \"p999\": %.1f, \"most\": %.1f, \"first_wrong\": \"",
           answered, seconds, octets, wrong, lost, unanswered, reconnected, quantile(0.5), quantile(0.9),
           quantile(0.99), quantile(0.999), quantile(1));
    for (char *letter = first_wrong; *letter; letter++)
        putchar(*letter < 32 || *letter > 126 || *letter == '"' || *letter == '\\' ? '?' : *letter);
    printf("\", \"statuses\": {");
    const char *between = "";
    for (int status = 0; status < 600; status++)
        if (statuses[status]) {
            printf("%s\"%d\": %" PRIu64, between, status, statuses[status]);
            between = ", ";
        }
    printf("}}\n");
}

int main(int count, char **words) {
    double rate = 0, seconds = LONGEST;
    uint64_t limit = REQUESTS_LIMIT;
    int is_cut = 0, is_each = 0, is_urgent = 0;
    if (count < 4) give_up("usage: replay PORT CONNECTIONS TRACE [options]; see the source");
    for (int number = 4; number < count; number++) {
        char *word = words[number], *value = number + 1 < count ? words[number + 1] : "0";
        if (!strcmp(word, "--cut")) is_cut = 1;
        else if (!strcmp(word, "--each")) is_each = 1;
        else if (!strcmp(word, "--urgent")) is_urgent = 1;
        else if (!strcmp(word, "--rate")) rate = atof(value), number++;
        else if (!strcmp(word, "--seconds")) seconds = atof(value), number++;
        else if (!strcmp(word, "--requests")) limit = strtoull(value, NULL, 10), number++;
        else if (!strcmp(word, "--first")) first = strtoull(value, NULL, 10), number++;
        else give_up(word);
    }
    peers_count = atoi(words[2]);
    if (peers_count < 1 || peers_count > CONNECTIONS_LIMIT) give_up("1 to 8192 connections");
    if (seconds > LONGEST) seconds = LONGEST;
    if (limit > REQUESTS_LIMIT) limit = REQUESTS_LIMIT;

    prctl(PR_SET_PDEATHSIG, 9);
    prctl(PR_SET_TIMERSLACK, 1);
    if (is_urgent) {
        struct sched_param priority = {.sched_priority = 1};
        if (sched_setscheduler(0, SCHED_FIFO, &priority)) setpriority(PRIO_PROCESS, 0, -20);
        errno = 0;
    }
    struct rlimit descriptors;
    getrlimit(RLIMIT_NOFILE, &descriptors);
    descriptors.rlim_cur = descriptors.rlim_max;
    setrlimit(RLIMIT_NOFILE, &descriptors);
    address.sin_family = AF_INET;
    address.sin_port = htons(atoi(words[1]));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    read_trace(words[3]);
    if (is_each) {
        if (!(order = realloc(order, 4 * (size_t)requests_count))) give_up("memory");
        for (order_count = 0; order_count < requests_count; order_count++) order[order_count] = order_count;
        if (limit > requests_count) limit = requests_count;
    }
    latencies = mmap(NULL, REQUESTS_LIMIT * sizeof *latencies, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    char *data = malloc(READ_LIMIT);
    peers = calloc(peers_count, sizeof *peers);
    idle = calloc(peers_count, sizeof *idle);
    if (latencies == MAP_FAILED || !data || !peers || !idle) give_up("memory");
    if ((poller = epoll_create1(EPOLL_CLOEXEC)) < 0) give_up("epoll_create1");
    stamps = (uint64_t)now() << 20 ^ (uint64_t)getpid();
    for (uint32_t number = 0; number < peers_count; number++) {
        if (!(peers[number].head = malloc(HEAD_LIMIT))) give_up("memory");
        open_connection(peers + number);
        idle[idle_count++] = peers + number;
    }

    int64_t began = now(), end = began + (int64_t)(seconds * SECOND), ended = began;
    for (;;) {
        int64_t time = now(), wake = end;
        int is_over = time >= end || issued >= limit;
        if (is_over && end > time) end = time; /* the count came first: answers are awaited from here on */
        if (is_over && (is_cut || idle_count == peers_count || time >= end + DRAIN_SECONDS * SECOND)) break;
        while (!is_over && idle_count) {
            int64_t due = rate ? began + (int64_t)(issued / rate * SECOND) : time;
            if (due > time) {
                wake = due < end ? due : end;
                break;
            }
            ask(idle[--idle_count], due);
            is_over = issued >= limit;
        }
        if (is_over) wake = (end < time ? end : time) + DRAIN_SECONDS * SECOND;
        int64_t left = wake > (time = now()) ? wake - time : 0;
        struct timespec patience = {.tv_sec = left / SECOND, .tv_nsec = left % SECOND};
        struct epoll_event events[BATCH];
        int ready = epoll_pwait2(poller, events, BATCH, &patience, NULL);
        if (ready < 0 && errno != EINTR) give_up("epoll_pwait2");
        for (int number = 0; number < ready; number++) {
            struct peer *peer = events[number].data.ptr;
            int was_busy = peer->is_busy;
            ssize_t size = recv(peer->descriptor, data, READ_LIMIT, 0);
            if (size < 0 && (errno == EAGAIN || errno == EINTR)) continue;
            int is_whole = size > 0 && receive(peer, data, size);
            if (size > 0) octets += size;
            if (!is_whole) { /* closed, or no HTTP */
                if (size > 0) note_wrong(peer, "no answer");
                if (peer->is_busy) lost++;
                peer->is_busy = 0;
                close(peer->descriptor);
                open_connection(peer);
                reconnected++;
            }
            if (was_busy && !peer->is_busy) {
                ended = now();
                idle[idle_count++] = peer;
            }
        }
    }
    if (is_cut || ended == began) ended = now();
    print_result((ended - began) / (double)SECOND, peers_count - idle_count);
    return 0;
}
