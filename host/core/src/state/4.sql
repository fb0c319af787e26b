-- It cost every act two more pages on its way; who asks what a skill used may wait for a scan.
DROP INDEX audit_used;
