-- fill.lua PATH COUNT [FROM] - creates records FROM (1) to COUNT with ids of ours; what it asks then only reads
local here = debug.getinfo(1, "S").source:match("^@(.*/)") or "./"
dofile(here .. "common.lua")

-- wrk makes one request before the run, to look at it: that is number 0.
local path, count, from, n = nil, 0, 1, -1

function init(args)
	path, count, from = args[1], tonumber(args[2]), tonumber(args[3] or 1)
end

function request()
	n = n + 1
	if n == 0 then
		n = from - 1
		return string.format("GET %s HTTP/1.1\r\nHost: bench\r\n\r\n", path)
	end
	if n > count then
		return string.format("GET %s/%s HTTP/1.1\r\nHost: bench\r\n\r\n", path, id_of(1))
	end
	return post_of(path, body_of(n, true))
end
