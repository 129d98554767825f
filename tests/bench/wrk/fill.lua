-- fill.lua PATH COUNT - creates records 1 to COUNT with ids of ours; what it asks then only reads
local here = debug.getinfo(1, "S").source:match("^@(.*/)") or "./"
dofile(here .. "common.lua")

-- wrk makes one request before the run, to look at it: that is number 0.
local path, count, n = nil, 0, -1

function init(args)
	path, count = args[1], tonumber(args[2])
end

function request()
	n = n + 1
	if n == 0 or n > count then
		return string.format("GET %s/%s HTTP/1.1\r\nHost: bench\r\n\r\n", path, id_of(1))
	end
	return post_of(path, body_of(n, true))
end
