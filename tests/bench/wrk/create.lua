-- create.lua PATH - a new record each time
local here = debug.getinfo(1, "S").source:match("^@(.*/)") or "./"
dofile(here .. "common.lua")

local path, n = nil, 0

function init(args)
	path = args[1]
end

function request()
	n = n + 1
	return post_of(path, body_of(n % 1000000, false))
end
