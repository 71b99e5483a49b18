-- Every request is another: a cookie that no request before it carried.
dofile("report.lua")

local head, count

function init()
    math.randomseed(os.time())
    head = string.format(
        "%sCookie: theme=dark; session=%08x-", wrk.format():sub(1, -3), math.random(0, 0x7fffffff)
    )
    count = 0
end

function request()
    count = count + 1
    return head .. count .. "\r\n\r\n"
end
