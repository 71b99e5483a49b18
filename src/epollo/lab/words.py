"""What the report says, in its languages."""

from epollo.annotations import Final

LANGUAGES: Final = ("en", "zh")

WORDS: Final[dict[str, tuple[str, str]]] = {
    "title": ("Are you hungry? Four ways to find out", "饿了吗？四种问法"),
    "lead": (
        (
            "A server keeps many connections open, and most of them are silent. Before it can answer "
            "anyone it has to find out who is speaking. The same server did this here in four ways, on "
            "this machine; everything else about it was the same."
        ),
        (
            "服务器同时保持着许多连接，其中大多数都沉默着。要回答谁，得先知道谁在说话。"
            "同一个服务器在这台机器上用四种办法来做这件事，其余一切都相同。"
        ),
    ),
    "verdict": ("What came out", "结论"),
    "constant": (
        "constant: {ratio:.2f} x from {least:,} to {greatest:,} idle connections",
        "常数：空闲连接从 {least:,} 到 {greatest:,}，成本为 {ratio:.2f} 倍",
    ),
    "scattered": (
        (
            "constant, as far as the figures tell: {ratio:.2f} x from {least:,} to {greatest:,} idle "
            "connections is within their scatter"
        ),
        "在数据的离散范围内为常数：空闲连接从 {least:,} 到 {greatest:,}，成本为 {ratio:.2f} 倍",
    ),
    "linear": (
        (
            "linear: each idle connection adds {slope} µs to every request; {times} x from {least:,"
            "} "
            "to {greatest:,}"
        ),
        "线性：每个空闲连接给每次请求增加 {slope} µs；从 {least:,} 到 {greatest:,} 为 {times} 倍",
    ),
    "falling": (
        "falling: {ratio:.2f} x from {least:,} to {greatest:,} idle connections",
        "下降：空闲连接从 {least:,} 到 {greatest:,}，成本为 {ratio:.2f} 倍",
    ),
    "other": (
        "neither constant nor linear: a line misses the figures by {misfit:.0%}",
        "既非常数也非线性：直线与数据相差 {misfit:.0%}",
    ),
    "unknown": ("too few figures to tell", "数据太少，无法判断"),
    "wall": (
        "no more than {reached:,} of {idle:,} idle connections: {trouble}",
        "{idle:,} 个空闲连接中最多只能有 {reached:,} 个：{trouble}",
    ),
    "wall.fd_setsize": (
        "FD_SETSIZE is 1024, and select(2) cannot name a descriptor from there on",
        "FD_SETSIZE 为 1024，编号从此起的描述符 select(2) 无法表示",
    ),
    "chart.cost": ("What a request costs", "一次请求的成本"),
    "chart.cost.note": (
        (
            "Processor time of the server per request, over idle connections. Both axes are "
            "logarithmic; the shade is the spread over the rounds."
        ),
        "服务器每次请求所用的处理器时间，随空闲连接数变化。两轴均为对数；阴影为各轮结果的范围。",
    ),
    "chart.cost.round": (
        (
            "Processor time of the server per request, over idle connections, in one round. Both axes "
            "are logarithmic."
        ),
        "一轮测量中服务器每次请求所用的处理器时间，随空闲连接数变化。两轴均为对数。",
    ),
    "chart.latency": ("How long an answer takes", "回答要等多久"),
    "chart.latency.note": (
        (
            "Seen by a guest: half of the answers are quicker than the solid line, one in a hundred is "
            "slower than the dashed one."
        ),
        "从客人一方看：一半的回答快于实线，百分之一的回答慢于虚线。",
    ),
    "chart.waiting": ("The price of waiting", "等待的代价"),
    "chart.waiting.note": (
        (
            "Processor time while nobody asks for anything, as a share of one processor, with {idle:,} "
            "idle connections."
        ),
        "没有任何请求时所用的处理器时间（占一个处理器的百分比），空闲连接 {idle:,} 个。",
    ),
    "chart.calls": ("System calls per request", "每次请求的系统调用"),
    "chart.calls.note": (
        "Counted by the server itself, with {idle:,} idle connections; the axis is logarithmic.",
        "由服务器自己计数，空闲连接 {idle:,} 个；横轴为对数。",
    ),
    "desc.cost": ("{poller}: {verdict}.", "{poller}：{verdict}。"),
    "desc.latency": (
        "{poller}: half of the answers within {shown} µs, with {idle} idle connections.",
        "{poller}：空闲连接 {idle} 个时，一半的回答在 {shown} µs 之内。",
    ),
    "desc.waiting": ("{poller}: {shown}.", "{poller}：{shown}。"),
    "desc.calls": ("{poller}, {label}: {shown}.", "{poller}，{label}：{shown}。"),
    "axis.idle": ("idle connections", "空闲连接数"),
    "axis.cost": ("µs of processor time per request", "每次请求的处理器时间（µs）"),
    "axis.latency": ("µs until the answer", "等到回答的时间（µs）"),
    "calls.wait": ("asks who is ready", "询问谁已就绪"),
    "calls.receive": ("receives something", "收到数据"),
    "calls.in_vain": ("tries in vain", "徒劳的尝试"),
    "calls.send": ("sends", "发送"),
    "calls.changes": ("looks for changed files", "查看文件是否有变"),
    "calls.other": ("everything else", "其他"),
    "copied": ("What passes between process and kernel", "进程与内核之间传递什么"),
    "process": ("your process", "你的进程"),
    "kernel": ("kernel", "内核"),
    "busy.what": (
        (
            "The busy server tries every socket in turn, without end. A turn is one system call per "
            "connection, whether the client said anything or not. It never sleeps, so it takes all the "
            "processor time that it can get."
        ),
        (
            "忙轮询的服务器挨个尝试每个套接字，永不停歇。每一轮对每个连接都是一次系统调用，"
            "不论有没有人说话；它从不睡眠，所以会占用它能得到的全部处理器时间。"
        ),
    ),
    "select.what": (
        (
            "select(2) hands the kernel a bit map at every call: one bit for each descriptor up to the "
            "highest, in whole words of 64; a second map where somebody waits to write. The kernel "
            "looks at each socket named in it, sleeps if none is ready, and hands the map back; then "
            "the process looks through it. A descriptor from 1,024 on has no bit: that is the wall."
        ),
        (
            "select(2) 每次调用都把一张位图交给内核：到编号最大的描述符为止各占一位，凑成 64 位的整字；"
            "有人等着写时再加一张。内核逐个查看其中的套接字，没有就绪的就睡眠，然后交还位图，"
            "进程再从头看一遍。编号 1024 起的描述符没有对应的位：这就是那堵墙。"
        ),
    ),
    "poll.what": (
        (
            "poll(2) hands over a list instead, eight octets for each connection, so that there is no "
            "wall. But it is still the whole list at every call: the kernel looks at each entry and "
            "writes two octets of result into it, and the process looks at them all again."
        ),
        (
            "poll(2) 改为交一张列表，每个连接八个字节，因此没有那堵墙。但每次调用仍要交出整张列表："
            "内核逐项查看，把两个字节的结果写回每一项，进程再全部看一遍。"
        ),
    ),
    "epoll.what": (
        (
            "epoll(7) is told once about each connection, and the kernel keeps the list. A socket that "
            "becomes ready puts itself on a second list; waiting copies out that one and nothing else. "
            "Who is silent costs nothing."
        ),
        (
            "epoll(7) 对每个连接只需登记一次，列表由内核保管。套接字就绪时自己排进第二张列表；"
            "等待时只取出这一张。沉默的连接不花任何代价。"
        ),
    ),
    "busy.in": ("recv, recv, recv …", "recv, recv, recv …"),
    "busy.out": ("no, no, a request!", "没有，没有，有请求！"),
    "busy.often": ("one call per connection, again and again", "每个连接一次调用，周而复始"),
    "select.in": ("1 bit map, 8 octets", "1 张位图，8 字节"),
    "select.out": ("1 bit map, 8 octets", "1 张位图，8 字节"),
    "select.often": ("at every call; the kernel looks at all", "每次调用；内核逐个查看"),
    "poll.in": ("50 entries, 400 octets", "50 项，400 字节"),
    "poll.out": ("50 results, 100 octets", "50 个结果，100 字节"),
    "poll.often": ("at every call; the kernel looks at all", "每次调用；内核逐个查看"),
    "epoll.in": ("nothing", "无"),
    "epoll.out": ("1 entry, 12 octets", "1 项，12 字节"),
    "epoll.often": ("only who is ready; the rest sleeps", "只有就绪者；其余都睡着"),
    "busy.desc": (
        (
            "The process asks each of fifty connections by a call of recv, again and again. Forty-nine "
            "times the kernel says no; once it has a request."
        ),
        "进程用 recv 挨个询问五十个连接，周而复始。内核四十九次说没有，一次给出请求。",
    ),
    "select.desc": (
        (
            "At every call the process hands the kernel a bit map of eight octets. The kernel looks at "
            "all fifty connections and hands eight octets back."
        ),
        "每次调用，进程把一张八个字节的位图交给内核；内核逐个查看五十个连接，再交还八个字节。",
    ),
    "poll.desc": (
        (
            "At every call the process hands the kernel fifty entries, 400 octets. The kernel looks at "
            "all fifty connections and writes fifty results back, 100 octets."
        ),
        "每次调用，进程把五十项共 400 字节交给内核；内核逐个查看，再写回五十个结果，共 100 字节。",
    ),
    "epoll.desc": (
        (
            "The kernel has the list of the fifty connections, and the process hands nothing over. One "
            "entry of twelve octets comes back: the connection that is ready. The others sleep."
        ),
        "五十个连接的列表在内核那里，进程什么也不用交出。取回的只有就绪的那一项，十二个字节；其余都睡着。",
    ),
    "figures": ("All figures", "全部数据"),
    "column.poller": ("poller", "方式"),
    "column.idle": ("idle", "空闲连接"),
    "column.cost": ("µs/request", "µs/请求"),
    "column.spread": ("spread", "范围"),
    "column.rate": ("requests/s", "请求/秒"),
    "column.p50": ("p50 µs", "p50 µs"),
    "column.p99": ("p99 µs", "p99 µs"),
    "column.worst": ("worst µs", "最慢 µs"),
    "column.calls": ("calls/request", "调用/请求"),
    "column.waiting": ("CPU unasked", "无请求 CPU"),
    "column.waiting.long": ("CPU while no client asks", "没有请求时的 CPU"),
    "column.memory": ("octets/conn.", "字节/连接"),
    "measured": (
        (
            "Measured on {date} with epollo {version}: {processor}; {kernel}; {python}. {asking} "
            "connections asked without pause; {often}. {placed}Calls were counted in a run of their own."
        ),
        (
            "{date} 用 epollo {version} 测得：{processor}；{kernel}；{python}。"
            "{asking} 个连接不停地请求；{often}。{placed}系统调用在单独的一轮里计数。"
        ),
    ),
    "measured.in_use": (
        "{processor}, {processors} in use",
        "{processor}，使用 {processors} 个处理器",
    ),
    "measured.round": ("one round of {seconds:g} s", "一轮，每次 {seconds:g} 秒"),
    "measured.rounds": (
        "{rounds} interleaved rounds of {seconds:g} s each; medians",
        "交错进行 {rounds} 轮，每次 {seconds:g} 秒；取中位数",
    ),
    "measured.apart": (
        "The server had one processor, its guests another. ",
        "服务器独占一个处理器，客人用另一个。",
    ),
    "measured.together": (
        "The server and its guests shared one processor. ",
        "服务器和客人共用一个处理器。",
    ),
    "theme": ("Light or dark", "切换明暗"),
    "language": ("中文", "English"),
}

WORDS.update(
    {
        "watch.title": ("Fifty guests, live", "五十位客人，现场"),
        "watch.lead": (
            (
                "This is a real server at work in a process beside this page. Seat guests, let some "
                "of them ask, change the way in which the server finds out who asks, and see what "
                "each of its wake-ups looked at and what it found."
            ),
            (
                "这是一个真正的服务器，在此页面旁边的进程里工作。请客人入座，让其中几位点菜，"
                "换一种得知谁在点菜的办法，看看它每次醒来查看了什么、找到了什么。"
            ),
        ),
        "watch.poller": ("How the server asks", "服务器怎样询问"),
        "watch.guests": ("Guests", "客人"),
        "watch.seated": ("{number} guests", "{number} 位客人"),
        "watch.asking": ("asking once a second: {number}", "其中 {number} 位每秒点一次菜"),
        "watch.wakeups": ("wake-ups a second", "每秒醒来次数"),
        "watch.looked": ("looked at, each time", "每次查看"),
        "watch.found": ("found, each time", "每次找到"),
        "watch.vain": ("tries in vain a second", "每秒徒劳的尝试"),
        "watch.calls": ("system calls a second", "每秒系统调用"),
        "watch.processor": ("of a processor", "占用处理器"),
        "watch.asleep": (
            "The chef sleeps until a guest raises a hand.",
            "厨师睡着，直到有人举手。",
        ),
        "watch.awake": ("The chef walks from guest to guest.", "厨师挨个走到客人面前。"),
        "watch.more": ("{number} more guests are not drawn", "还有 {number} 位客人没有画出来"),
        "watch.gone": ("The server that shows this page has ended.", "显示此页面的服务器已结束。"),
        "watch.again": (
            "The server that is watched had ended; another one was started.",
            "被观察的服务器已结束，另一个已启动。",
        ),
        "watch.own": (
            "guests, and three descriptors of its own: the listening socket, changed files, signals",
            "客人，以及服务器自己的三个文件描述符：监听套接字、文件改动、信号",
        ),
        "watch.own_ready": ("those that are ready, and no other", "只看已就绪的，其余不看"),
        "watch.of_processor": (
            "as much as it gets: other programs want some too",
            "能得到多少算多少：其他程序也要用",
        ),
        "watch.legend": ("What is what", "图例"),
        "watch.legend_ring": ("looked at", "被查看"),
        "watch.legend_hand": ("asked, and was served", "点了菜，已送到"),
        "watch.legend_calm": ("a guest that wants nothing", "不需要什么的客人"),
        "watch.legend_free": ("a free place", "空位"),
        "watch.second": ("All figures are those of the last second.", "所有数字都是最近一秒钟的。"),
        "watch.theme": ("Light or dark", "切换明暗"),
    }
)

COUNTED_WORDS: Final = {"seated": "guests", "asking": "asking", "more": "more"}
"""Words of the live page with a place for a number, and the name by which it is shown there."""

WATCH_WORDS: Final = tuple(
    key.removeprefix("watch.") for key in WORDS if key.startswith("watch.") and key != "watch.title"
)
"""What the live page says, without its title."""


def say(key: str, language: str, **values: object) -> str:
    """Return the words for a key in a language, with the values filled in."""
    return WORDS[key][LANGUAGES.index(language)].format(**values)
