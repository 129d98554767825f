# cmake -DINPUT=f -DOUTPUT=f.c -DNAME=n -P EmbedFile.cmake: writes a file as "const unsigned char n[]" and its "n_bytes".
file(READ ${INPUT} hex HEX)
string(LENGTH "${hex}" digits)
math(EXPR bytes "${digits} / 2")
string(REGEX REPLACE "(................................)" "\\1\n" lines "${hex}")
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," body "${lines}")
file(WRITE ${OUTPUT} "#include \"${NAME}.h\"\n\nconst unsigned char ${NAME}[] = {\n${body}\n};\nconst size_t ${NAME}_bytes = ${bytes};\n")
