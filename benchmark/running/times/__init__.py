"""Step times: methods step in processes of their own, in turn; what runs will take follows."""
