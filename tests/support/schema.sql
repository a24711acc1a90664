-- What every test server holds: tables for the scenario of tests/clients, and the users they log in as.
CREATE DATABASE test;
CREATE DATABASE other;
CREATE DATABASE sbtest;
CREATE USER 'app'@'%' IDENTIFIED BY 'app-password';
GRANT ALL PRIVILEGES ON *.* TO 'app'@'%';
USE test;
CREATE TABLE numbers (n INT PRIMARY KEY);
INSERT INTO numbers SELECT seq FROM seq_1_to_1000;
CREATE TABLE items (id INT PRIMARY KEY, amount INT, name VARCHAR(64));
CREATE TABLE blobs (id INT PRIMARY KEY, content LONGBLOB);
DELIMITER //
CREATE PROCEDURE two_results() BEGIN SELECT 1; SELECT n FROM numbers WHERE n <= 5; END //
CREATE PROCEDURE late_error()
BEGIN
  SELECT n FROM numbers WHERE n <= 3;
  SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'late';
END //
DELIMITER ;
