-- A shop's statements, a few of which fail: `prepare` makes its tables, `run` asks them.
local names = { "ash", "birch", "cedar", "elm", "fir", "hazel", "larch", "maple", "oak", "pine" }
local connection

local function fill(table, columns, rows, row)
   connection:bulk_insert_init("INSERT INTO " .. table .. " (" .. columns .. ") VALUES")
   for number = 1, rows do connection:bulk_insert_next(row(number)) end
   connection:bulk_insert_done()
end

function cmd_prepare()
   connection = sysbench.sql.driver():connect()
   connection:query("CREATE TABLE customers (id INT PRIMARY KEY, name VARCHAR(40), city VARCHAR(20), KEY (city))")
   connection:query("CREATE TABLE products (id INT PRIMARY KEY, title VARCHAR(60), price DECIMAL(8,2), stock INT)")
   connection:query("CREATE TABLE orders (id INT AUTO_INCREMENT PRIMARY KEY, customer INT, product INT, placed DATETIME, KEY (customer))")
   local name = function(number) return names[number % #names + 1] end
   fill("customers", "id, name, city", 2000, function(n) return string.format("(%d, '%s', '%s')", n, name(n), name(n * 7)) end)
   fill("products", "id, title, price, stock", 2000, function(n) return string.format("(%d, '%s %d', %d, 1000)", n, name(n), n, n) end)
   fill("orders", "customer, product, placed", 4000, function(n) return string.format("(%d, %d, NOW())", n % 2000 + 1, n % 500 + 1) end)
end

sysbench.cmdline.commands = { prepare = { cmd_prepare } }

function thread_init()
   connection = sysbench.sql.driver():connect()
end

-- What the server refuses is part of the load.
local function refused(sql)
   pcall(function() connection:query(sql) end)
end

function event()
   local number, dice = sysbench.rand.uniform(1, 2000), sysbench.rand.uniform(1, 1000)
   if dice <= 380 then
      connection:query("SELECT title, price, stock FROM products WHERE id = " .. number)
   elseif dice <= 560 then
      connection:query("SELECT id, product, placed FROM orders WHERE customer = " .. number .. " ORDER BY placed DESC LIMIT 10")
   elseif dice <= 640 then
      connection:query("SELECT c.city, COUNT(*), SUM(p.price) FROM orders o JOIN customers c ON c.id = o.customer " ..
         "JOIN products p ON p.id = o.product WHERE c.city = '" .. names[number % #names + 1] .. "' GROUP BY c.city")
   elseif dice <= 680 then
      connection:query("SELECT id, title FROM products WHERE title LIKE '%" .. number .. "%' LIMIT 20")
   elseif dice <= 780 then
      connection:query("UPDATE products SET stock = stock - 1 WHERE id = " .. number)
   elseif dice <= 860 then
      connection:query("BEGIN")
      connection:query("INSERT INTO orders (customer, product, placed) VALUES (" .. number .. ", " .. number .. ", NOW())")
      connection:query("UPDATE products SET stock = stock - 1 WHERE id = " .. number)
      connection:query("COMMIT")
   elseif dice <= 950 then
      connection:query("SELECT name, city FROM customers WHERE id IN (" .. number .. ", " .. math.floor(number / 2) + 1 .. ")")
   elseif dice <= 970 then
      refused("INSERT INTO customers (id, name, city) VALUES (" .. number .. ", 'elm', 'oak')")
   elseif dice <= 975 then
      refused("SELECT * FROM invoices WHERE id = " .. number)
   elseif dice <= 985 then
      connection:query("SELECT 1 AS `<img src=x onerror=alert(1)>`")
   else
      connection:query("SELECT city, COUNT(*) FROM customers GROUP BY city ORDER BY COUNT(*) DESC")
   end
end

function thread_done()
   connection:disconnect()
end
