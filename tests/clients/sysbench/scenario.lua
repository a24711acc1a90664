-- sysbench's oltp_read_write, which also says which connection and which client port each thread has.

require("oltp_common")
dofile("/usr/share/sysbench/oltp_read_write.lua")

local start = thread_init

function thread_init()
   start()
   local id, host = con:query_row(
      "SELECT ID, HOST FROM information_schema.processlist WHERE ID = CONNECTION_ID()")
   -- One write: print() makes several, between which another thread's may come.
   io.write("\nconnection " .. tostring(id) .. " " .. tostring(host) .. "\n")
end
