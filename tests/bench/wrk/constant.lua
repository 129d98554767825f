-- constant.lua - the same GET each time: constant.lua
local here = debug.getinfo(1, "S").source:match("^@(.*/)") or "./"
dofile(here .. "common.lua")
