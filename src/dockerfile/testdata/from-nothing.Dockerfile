FROM 
RUN true
