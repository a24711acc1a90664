-- Rows of 16 to 64 KB, made by the server.
function thread_init()
   connection = sysbench.sql.driver():connect()
end

function event()
   connection:query("SELECT repeat('x', " .. sysbench.rand.uniform(16384, 65536) .. ")")
end
